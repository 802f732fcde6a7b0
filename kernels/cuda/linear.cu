// Dense products through cuBLASLt: fp32 sums, a choice per shape made once and kept, by measurement
// while tuning, else cuBLASLt's first. Shapes that it refuses (odd strides, a bias of another dtype
// than the output) go to our own products.
#include <algorithm>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/grouped_product.h"
#include "kernels/cuda/quantized_product.h"

namespace regatta {
namespace {

// Hopper keeps about 14 bits of a sum of E4M3 products; without "fast accumulation" that is added
// to a float32 sum every few products. The fast way is worth few percent and costs half a digit.
constexpr int8_t kFastAccumulation = 0;

cudaDataType_t BlasType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return CUDA_R_32F;
    case DType::kBFloat16:
      return CUDA_R_16BF;
    case DType::kFloat16:
      return CUDA_R_16F;
    case DType::kFloat8E4M3:
      return CUDA_R_8F_E4M3;
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

// How scales lie beside the weight's and the input's numbers.
struct ScaleModes {
  cublasLtMatmulMatrixScale_t weight, x;
};

ScaleModes ModesOf(ActivationFormat input) {
  switch (input) {
    case ActivationFormat::kPerToken:
      return {CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F,
              CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F};
    case ActivationFormat::kPerGroup:
      return {CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F, CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F};
    default:
      return {CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F, CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F};
  }
}

bool PointAtScales(const LinearPlan& plan, const CudaWeight& weight, const Activation& x) {
  return !weight.quantized() ||
         (SetProduct(plan.product, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, weight.scale_data()) &&
          SetProduct(plan.product, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, x.scale.as<const void>()));
}

bool DescribeScales(const LinearPlan& plan, const CudaWeight& weight, const Activation& x) {
  if (!weight.quantized()) return true;
  const ScaleModes modes = ModesOf(weight.input);
  return SetProduct(plan.product, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, modes.weight) &&
         SetProduct(plan.product, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, modes.x) &&
         SetProduct(plan.product, CUBLASLT_MATMUL_DESC_FAST_ACCUM, kFastAccumulation) &&
         PointAtScales(plan, weight, x);
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

constexpr int kMostCandidates = 10;

// Ways to run one product, best guess first. (nvcc 13.0 fails on vectors of these types.)
struct Candidates {
  cublasLtMatmulHeuristicResult_t at[kMostCandidates];
  int count = 0;
};

// At most `most` ways to run the plan's product. Partial sums of split products
// stay in float32; with a bias nothing is split, for the bias would be added to what was rounded
// already.
Candidates CandidatesFor(cublasLtHandle_t blas, size_t workspace, bool bias, int x_alignment,
                         int out_alignment, const LinearPlan& plan, int most) {
  Candidates candidates;
  cublasLtMatmulPreference_t preference = nullptr;
  if (cublasLtMatmulPreferenceCreate(&preference) != CUBLAS_STATUS_SUCCESS) return candidates;
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
  if (!prepared || cublasLtMatmulAlgoGetHeuristic(blas, plan.product, plan.weight, plan.x, plan.out,
                                                  plan.out, preference, most, candidates.at,
                                                  &candidates.count) != CUBLAS_STATUS_SUCCESS) {
    candidates.count = 0;
  }
  cublasLtMatmulPreferenceDestroy(preference);
  return candidates;
}

// Reads more than the cache holds. (Writing would leave it to be written back by what is measured.)
__global__ void FlushKernel(const uint4* data, int64_t count) {
  uint32_t sum = 0;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x) {
    sum += __ldcg(data + i).x;
  }
  if (sum == 0x9e3779b9u) __nanosleep(1);  // so that the reads are not left out
}

// Whether a choice that was measured with another number of tokens can run this plan.
bool Runs(cublasLtHandle_t blas, const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm,
          size_t workspace) {
  cublasLtMatmulHeuristicResult_t result{};
  return cublasLtMatmulAlgoCheck(blas, plan.product, plan.weight, plan.x, plan.out, plan.out,
                                 &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= workspace;
}

}  // namespace

LinearPlan::~LinearPlan() {
  if (weight != nullptr) cublasLtMatrixLayoutDestroy(weight);
  if (x != nullptr) cublasLtMatrixLayoutDestroy(x);
  if (out != nullptr) cublasLtMatrixLayoutDestroy(out);
  if (product != nullptr) cublasLtMatmulDescDestroy(product);
}

LinearPlan& CudaOps::PlanLinear(const Activation& activation, const CudaWeight& weight, bool bias,
                                const Tensor& out) {
  const Tensor& x = activation.values;
  const int x_alignment = AlignmentOf(x);
  const int out_alignment = AlignmentOf(out);
  const LinearKey key{
      weight.out_features, x.dim(0), weight.in_features, x.row_stride, out.row_stride,
      weight.input,        x.dtype,  out.dtype,          bias,         x_alignment,
      out_alignment};
  std::unique_ptr<LinearPlan>& plan = linear_plans_[key];
  if (plan == nullptr) {
    plan = std::make_unique<LinearPlan>();
    plan->found = Describe(*plan, x, weight.matrix, bias, out) &&
                  DescribeScales(*plan, weight, activation) &&
                  ChooseLinear(activation, weight, bias, out, *plan);
  }
  return *plan;
}

bool CudaOps::ChooseLinear(const Activation& activation, const CudaWeight& weight, bool bias,
                           const Tensor& out, LinearPlan& plan) {
  const Tensor& x = activation.values;
  const LinearShape shape{weight.out_features,
                          weight.in_features,
                          TokenClass(x.dim(0)),
                          static_cast<int8_t>(weight.input),
                          static_cast<int8_t>(x.dtype),
                          static_cast<int8_t>(out.dtype),
                          bias};
  const size_t workspace = blas_workspace_.num_bytes();
  if (const auto chosen = linear_choices_->Find(shape);
      chosen.has_value() && Runs(blas_, plan, *chosen, workspace)) {
    plan.algorithm = *chosen;
    return true;
  }
  const bool measures = tuning_ && !bias;  // a bias has an address, which varies
  const Candidates candidates =
      CandidatesFor(blas_, workspace, bias, AlignmentOf(x), AlignmentOf(out), plan,
                    measures ? kMostCandidates : 1);
  if (candidates.count == 0) return false;
  plan.algorithm = candidates.at[0].algo;
  if (measures) {
    float best = SecondsOf(plan, plan.algorithm, x, weight, out);
    for (int i = 1; i < candidates.count; ++i) {
      // Less than 2 % is noise, and the library's order a good one.
      const float own = SecondsOf(plan, candidates.at[i].algo, x, weight, out);
      if (own < 0.98f * best) {
        best = own;
        plan.algorithm = candidates.at[i].algo;
      }
    }
    linear_choices_->Set(shape, plan.algorithm);
  }
  return true;
}

bool CudaOps::Multiply(const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm,
                       const Tensor& x, const CudaWeight& weight, const Tensor& out) {
  const float one = 1, zero = 0;
  return cublasLtMatmul(blas_, plan.product, &one, weight.matrix.data, plan.weight, x.data, plan.x,
                        &zero, out.data, plan.out, out.data, plan.out, &algorithm,
                        blas_workspace_.data(), blas_workspace_.num_bytes(),
                        stream_) == CUBLAS_STATUS_SUCCESS;
}

// The least of a few runs, each with the operands out of the cache, as they are in a step.
float CudaOps::SecondsOf(const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm,
                         const Tensor& x, const CudaWeight& weight, const Tensor& out) {
  constexpr int kRuns = 4;
  float best = INFINITY;
  cudaEvent_t begin = nullptr, end = nullptr;
  Check(cudaEventCreate(&begin), "event");
  Check(cudaEventCreate(&end), "event");
  for (int run = 0; run < kRuns && failure_.empty(); ++run) {
    FlushKernel<<<num_multiprocessors_, 1024, 0, stream_>>>(
        static_cast<const uint4*>(attention_workspace_.data()),
        static_cast<int64_t>(attention_workspace_.num_bytes() / sizeof(uint4)));
    Check(cudaEventRecord(begin, stream_), "event");
    if (!Multiply(plan, algorithm, x, weight, out)) break;
    Check(cudaEventRecord(end, stream_), "event");
    Check(cudaEventSynchronize(end), "product");
    float milliseconds = INFINITY;
    if (failure_.empty()) Check(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    best = std::min(best, milliseconds / 1000);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best;
}

std::vector<int> CudaOps::TuningSizes(int most) const {
  std::vector<int> sizes;
  for (int size = 1; size <= TokenClass(most); size = TokenClass(size + 1)) {
    sizes.push_back(std::min(size, most));
  }
  return sizes;
}

void CudaOps::SetTuning(bool on) {
  tuning_ = on;
  if (on) linear_plans_.clear();
}

std::string CudaOps::ExportTuning() const { return linear_choices_->Export(); }

bool CudaOps::ImportTuning(const std::string& bytes) {
  linear_plans_.clear();
  return linear_choices_->Import(bytes);
}

// True when cuBLASLt took it.
bool CudaOps::BlasLinear(const Activation& activation, const CudaWeight& weight, const Tensor& bias,
                         const Tensor& result) {
  Activation x = activation;
  Tensor out = result;
  if (weight.input == ActivationFormat::kPerGroup) {  // see kGroupRows
    x.values.shape[0] = out.shape[0] = x.scale.row_stride;
  }
  const bool has_bias = static_cast<bool>(bias);
  LinearPlan& plan = PlanLinear(x, weight, has_bias, out);
  if (!plan.found) return false;
  plan.found = PointAtScales(plan, weight, x) &&
               (!has_bias || SetProduct(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                        bias.as<const void>())) &&
               Multiply(plan, plan.algorithm, x.values, weight, out);
  return plan.found;
}

void CudaOps::Linear(const Activation& activation, const Weight& weight, const Tensor& bias,
                     const Tensor& out) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  const Tensor& x = activation.values;
  CheckForm(activation);
  CHECK_EQ(x.dim(1), weight.in_features);
  CHECK_EQ(out.dim(0), x.dim(0));
  CHECK_EQ(out.dim(1), weight.out_features);
  CHECK_EQ(activation.quantized(), weight.input != ActivationFormat::kPlain)
      << "an input that is not in its weight's form";
  CHECK(x.dtype == matrix.matrix.dtype)
      << DTypeName(x.dtype) << " times " << DTypeName(matrix.matrix.dtype);
  if (bias) CHECK_EQ(bias.dim(0), weight.out_features);
  if (x.dim(0) == 0) return;
  if ((!bias || bias.dtype == out.dtype) && BlasLinear(activation, matrix, bias, out)) return;
  if (matrix.quantized()) {
    LaunchQuantizedProduct({activation, matrix.matrix, matrix.scales, bias, out}, stream_);
  } else {
    GroupedProduct product;
    product.x = x;
    product.out = out;
    product.bias = bias;
    product.num_tiles = CeilDiv(x.dim(0), kProductTile);
    product.weights.at[0] = matrix.matrix.data;
    product.weight_stride = matrix.matrix.row_stride;
    LaunchGroupedProduct(product, stream_);
  }
  Launched("Linear");
}

}  // namespace regatta
