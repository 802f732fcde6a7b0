// The matrix products of one rank's step: how fast they could be, and how fast they are alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/model_spec.h"
#include "kernels/activation.h"
#include "kernels/ops.h"
#include "tests/bench/step/rates.h"
#include "worker/weights/weights.h"

namespace regatta {

struct Product {
  std::string name;
  int64_t out = 0, in = 0;                            // of this rank's weight
  int count = 0;                                      // in one step
  bool head = false;                                  // float32 logits
  ActivationFormat input = ActivationFormat::kPlain;  // else the weight is E4M3

  size_t element_bytes(DType dtype) const {
    return input == ActivationFormat::kPlain ? SizeOf(dtype) : 1;
  }
};

// One rank's products of a step. Experts apart: they are no single product.
std::vector<Product> ProductsOf(const ModelSpec& spec, const ShardShape& shape,
                                const RankPosition& position);

// Experts of one rank in a step of `tokens` tokens, chosen evenly.
struct ExpertWork {
  int layers = 0;
  double bytes = 0;       // of weights that some token needs, expected, all layers
  double operations = 0;  // all layers
};
ExpertWork ExpertsOf(const ModelSpec& spec, const ShardShape& shape, const RankPosition& position,
                     int tokens, DType dtype);

// Seconds of a step that nothing can beat on this device: each product as fast as its weights can
// be read or its operations done, whichever takes longer; and all keys and values read once. The
// head multiplies `drawn` of the tokens.
double FloorSeconds(const std::vector<Product>& products, const ExpertWork& experts, int tokens,
                    int drawn, double kv_bytes, DType dtype, const DeviceRates& rates);

// Seconds that the same products take alone, back to back, through Ops::Linear and
// Ops::MoeExperts; weights are rotated so that no cache holds them. Negative when memory runs out.
double ReferenceSeconds(const std::vector<Product>& products, const ModelSpec& spec,
                        const ShardShape& shape, const ExpertWork& experts, int tokens, int drawn,
                        DType dtype, Ops& ops);

}  // namespace regatta
