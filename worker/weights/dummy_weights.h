// Weights from a formula, for measuring models whose weights are not at hand. They compute like a
// trained model's (finite, of usual scale) and mean nothing.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/weights/tensor_source.h"

namespace regatta {

struct DummyOptions {
  uint64_t seed = 0;
  // Exponent of the experts' popularity, see router_skew.h; 0 = all alike.
  double router_skew = 0;
  int experts_per_token = 0;
  QuantizationSpec quantization;
};

// Each element is a function of (seed, tensor name, row, column of the whole tensor), so that every
// layout holds the same model. Roughly normal around 0, with standard deviation 1 / sqrt(columns)
// for matrices and 0.02 for embeddings and biases; norms are 1. Matrices of a model that is
// quantised, and not online, are E4M3 under equal scales.
std::unique_ptr<TensorSource> MakeDummySource(const DummyOptions& options);

}  // namespace regatta
