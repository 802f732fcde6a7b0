// The scales of a fused matrix, from those of its parts.
#pragma once

#include <vector>

#include "common/checkpoint/tensor_table.h"
#include "common/quantization.h"
#include "kernels/activation.h"
#include "kernels/thread_pool.h"
#include "worker/weights/stored_scales.h"

namespace regatta {

// A part of a fused matrix: what of it this rank holds, and the scales of all of it.
struct ScaledPart {
  TensorInfo tensor;
  Slice slice;
  StoredScales scales;
};

// Scales in the form that Ops::PrepareQuantized takes; `view` lives as long as `values` do.
struct MatrixScales {
  std::vector<float> values;
  Tensor view;
  float input = 0;
};

// Parts with a scale each get the largest of them, and `numbers` [rows of all parts, columns] are
// rounded once more where theirs was smaller: one product then has one scale, as cuBLASLt wants it
// and TensorRT-LLM and vLLM do it. (`numbers` is host memory unless all scales are equal.) Their
// inputs are one tensor, so its scale is the largest too.
MatrixScales FuseScales(const std::vector<ScaledPart>& parts, QuantizationScheme scheme,
                        const Tensor& numbers, ThreadPool& pool);

}  // namespace regatta
