// How one shape of product is multiplied.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <optional>

#include "kernels/cuda/linear_choices.h"
#include "kernels/cuda/skinny_product.h"
#include "kernels/cuda/wide_product.h"

namespace regatta {

// cuBLASLt's ways to run one product, best guess first. (nvcc 13.0 fails on vectors of these
// types.)
struct LinearCandidates {
  static constexpr int kMost = 10;
  cublasLtMatmulHeuristicResult_t at[kMost];
  int count = 0;
};

// What one rank's LinearReduceAddNorm works on.
struct LinearAddNorm {
  const Activation& x;
  const CudaWeight& weight;
  const Tensor &residual, &delta, &norm_weight;
  float eps;
  const Activation& out;
};

// Not found when neither cuBLASLt nor one of our kernels takes the shape.
struct LinearPlan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;
  bool described = false;  // to cuBLASLt
  SkinnyShape skinny;      // of no clusters where our kernel for few tokens does not take it
  WideShape wide;          // of no rows where that for many does not
  LinearChoice choice;
  bool found = false;
  std::optional<LinearChoice> adding;  // how the product is added to what `out` holds, once chosen
  int64_t most_tokens = INT64_MAX;     // of one call; more go in pieces

  LinearPlan() = default;
  LinearPlan(const LinearPlan&) = delete;
  ~LinearPlan();
};

}  // namespace regatta
