// Products of activations with prepared weights, many at once: Linear is one, a layer of experts is
// one per expert.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cpu/vectorize.h"
#include "kernels/ops.h"
#include "kernels/thread_pool.h"

namespace regatta {

// A weight as float32 panels of `panel_width` output features, each [in_features, panel_width],
// zero-padded. The panel width is that of the instruction set it was packed for. A quantised weight
// has its E4M3 numbers in the panels, and scales per output feature and group of input features.
class PanelWeight final : public Weight {
 public:
  Buffer buffer;
  int panel_width = 0;
  std::vector<float> scales;  // [groups, out_features], or empty
  int64_t group = 0;          // input features that share a scale
  float static_scale = 0;     // what `input_scale` views

  int64_t num_panels() const { return (out_features + panel_width - 1) / panel_width; }
  const float* panel(int64_t p) const {
    return static_cast<const float*>(buffer.data()) + p * in_features * panel_width;
  }
};

// Packs a host matrix [out, in] of any storage dtype. Null when memory is exhausted.
std::unique_ptr<PanelWeight> PackPanels(ThreadPool& pool, VectorIsa isa, const Tensor& matrix);
// The same with scales; of E4M3 numbers.
std::unique_ptr<PanelWeight> PackPanels(ThreadPool& pool, VectorIsa isa,
                                        const QuantizedMatrix& matrix);

// out = x W^T + bias.
struct Product {
  const float* x = nullptr;  // [rows, in_features], rows x_stride elements apart
  int64_t x_stride = 0;
  Tensor x_scale;  // as of an Activation; empty when x is plain
  const PanelWeight* weight = nullptr;
  Tensor bias;  // [out_features], activation dtype, or empty
  Tensor out;   // [rows, out_features], activation dtype; may be a column slice
};

// Computes independent products on the pool. A row's bits depend on its own x and the weight alone.
void Multiply(ThreadPool& pool, VectorIsa isa, std::span<const Product> products);

}  // namespace regatta
