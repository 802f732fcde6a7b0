// Dense products through cuBLASLt: fp32 sums, a choice per shape made once and kept. Shapes that it
// refuses (odd strides, a bias of another dtype than the output) go to our own product.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/grouped_product.h"

namespace regatta {
namespace {

cudaDataType_t BlasType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return CUDA_R_32F;
    case DType::kBFloat16:
      return CUDA_R_16BF;
    case DType::kFloat16:
      return CUDA_R_16F;
    default:
      CHECK(false) << "no product of " << DTypeName(dtype);
      return CUDA_R_32F;
  }
}

// Bytes, at most 16, that every row of `x` begins at a multiple of.
int AlignmentOf(const Tensor& x) {
  const uint64_t places = reinterpret_cast<uintptr_t>(x.data) |
                          static_cast<uint64_t>(x.row_stride) * SizeOf(x.dtype) | 16;
  return static_cast<int>(places & (~places + 1));
}

template <typename Value>
bool SetPreference(cublasLtMatmulPreference_t preference,
                   cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
  return cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)) ==
         CUBLAS_STATUS_SUCCESS;
}

template <typename Value>
bool SetProduct(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute,
                Value value) {
  return cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof(value)) ==
         CUBLAS_STATUS_SUCCESS;
}

// A row-major [rows, cols] matrix is a column-major [cols, rows] one.
bool MakeLayout(cublasLtMatrixLayout_t* layout, const Tensor& x) {
  return cublasLtMatrixLayoutCreate(layout, BlasType(x.dtype), x.dim(1), x.dim(0),
                                    std::max(x.row_stride, x.dim(1))) == CUBLAS_STATUS_SUCCESS;
}

bool Describe(LinearPlan& plan, const Tensor& x, const Tensor& weight, bool bias,
              const Tensor& out) {
  return cublasLtMatmulDescCreate(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F) ==
             CUBLAS_STATUS_SUCCESS &&
         SetProduct(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T) &&
         (!bias ||
          SetProduct(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS)) &&
         (!bias || SetProduct(plan.product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
                              static_cast<int32_t>(BlasType(out.dtype)))) &&
         MakeLayout(&plan.weight, weight) && MakeLayout(&plan.x, x) && MakeLayout(&plan.out, out);
}

// Partial sums of split products stay in float32; with a bias nothing is split, for the bias would
// be added to what was rounded already.
bool Choose(cublasLtHandle_t blas, size_t workspace, bool bias, int x_alignment, int out_alignment,
            LinearPlan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  if (cublasLtMatmulPreferenceCreate(&preference) != CUBLAS_STATUS_SUCCESS) return false;
  using Attribute = cublasLtMatmulPreferenceAttributes_t;
  const auto set = [&](Attribute attribute, auto value) {
    return SetPreference(preference, attribute, value);
  };
  const bool prepared =
      set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{workspace}) &&
      set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
          static_cast<uint32_t>(bias ? CUBLASLT_REDUCTION_SCHEME_NONE
                                     : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)) &&
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(x_alignment)) &&
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(out_alignment)) &&
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(out_alignment));
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const bool chosen = prepared && cublasLtMatmulAlgoGetHeuristic(
                                      blas, plan.product, plan.weight, plan.x, plan.out, plan.out,
                                      preference, 1, &result, &found) == CUBLAS_STATUS_SUCCESS;
  cublasLtMatmulPreferenceDestroy(preference);
  plan.algorithm = result.algo;
  return chosen && found == 1;
}

}  // namespace

LinearPlan::~LinearPlan() {
  if (weight != nullptr) cublasLtMatrixLayoutDestroy(weight);
  if (x != nullptr) cublasLtMatrixLayoutDestroy(x);
  if (out != nullptr) cublasLtMatrixLayoutDestroy(out);
  if (product != nullptr) cublasLtMatmulDescDestroy(product);
}

LinearPlan& CudaOps::PlanLinear(const Tensor& x, const CudaWeight& weight, bool bias,
                                const Tensor& out) {
  const int x_alignment = AlignmentOf(x);
  const int out_alignment = AlignmentOf(out);
  const LinearKey key{weight.out_features, x.dim(0),     weight.in_features, x.row_stride,
                      out.row_stride,      x.dtype,      out.dtype,          bias,
                      x_alignment,         out_alignment};
  std::unique_ptr<LinearPlan>& plan = linear_plans_[key];
  if (plan == nullptr) {
    plan = std::make_unique<LinearPlan>();
    plan->found =
        Describe(*plan, x, weight.matrix, bias, out) &&
        Choose(blas_, blas_workspace_.num_bytes(), bias, x_alignment, out_alignment, *plan);
  }
  return *plan;
}

void CudaOps::Linear(const Tensor& x, const Weight& weight, const Tensor& bias, const Tensor& out) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  CHECK_EQ(x.dim(1), weight.in_features);
  CHECK_EQ(out.dim(0), x.dim(0));
  CHECK_EQ(out.dim(1), weight.out_features);
  CHECK(x.dtype == matrix.matrix.dtype)
      << DTypeName(x.dtype) << " times " << DTypeName(matrix.matrix.dtype);
  if (bias) CHECK_EQ(bias.dim(0), weight.out_features);
  if (x.dim(0) == 0) return;
  const bool has_bias = static_cast<bool>(bias);
  if (!has_bias || bias.dtype == out.dtype) {
    LinearPlan& plan = PlanLinear(x, matrix, has_bias, out);
    const float one = 1, zero = 0;
    if (plan.found &&
        (!has_bias ||
         SetProduct(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.as<const void>())) &&
        cublasLtMatmul(blas_, plan.product, &one, matrix.matrix.data, plan.weight, x.data, plan.x,
                       &zero, out.data, plan.out, out.data, plan.out, &plan.algorithm,
                       blas_workspace_.data(), blas_workspace_.num_bytes(),
                       stream_) == CUBLAS_STATUS_SUCCESS) {
      return;
    }
    plan.found = false;
  }
  GroupedProduct product;
  product.x = x;
  product.out = out;
  product.bias = bias;
  product.num_tiles = CeilDiv(x.dim(0), kProductTile);
  product.weights.at[0] = matrix.matrix.data;
  product.weight_stride = matrix.matrix.row_stride;
  LaunchGroupedProduct(product, stream_);
  Launched("Linear");
}

}  // namespace regatta
