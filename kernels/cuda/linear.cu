// Dense products: fp32 sums, through cuBLASLt or our own kernels, of few tokens and of many; a
// choice per shape made once and kept, by measurement while tuning (linear_tuning.cu), else
// cuBLASLt's first. Shapes that both refuse (odd strides, a bias of another dtype than the output)
// go to slower ones.
#include <algorithm>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/grouped_product.h"
#include "kernels/cuda/linear_plan.h"
#include "kernels/cuda/quantized_product.h"

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

// Hopper keeps about 14 bits of a sum of E4M3 products; unless it is `fast`, that is added to a
// float32 sum every few products. The fast way takes 5 to 10 % less time; what it loses is far
// below what three bits of mantissa lost before. Scales within the depth have sums of their own.
bool DescribeScales(const LinearPlan& plan, const CudaWeight& weight, const Activation& x,
                    bool fast) {
  if (!weight.quantized()) return true;
  const ScaleModes modes = ModesOf(weight.input);
  const auto fast_sums = static_cast<int8_t>(fast && weight.input != ActivationFormat::kPerGroup);
  return SetProduct(plan.product, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, modes.weight) &&
         SetProduct(plan.product, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, modes.x) &&
         SetProduct(plan.product, CUBLASLT_MATMUL_DESC_FAST_ACCUM, fast_sums) &&
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

// Whether tiles are of other shapes than 128 outputs and 64 tokens, which read the weight of one
// token nearly as fast as memory does, and lose little on hundreds.
bool IsWide(const cublasLtMatmulAlgo_t& algorithm) {
  uint32_t tile = 0;
  size_t written = 0;
  return cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID, &tile,
                                              sizeof(tile), &written) != CUBLAS_STATUS_SUCCESS ||
         tile != CUBLASLT_MATMUL_TILE_128x64;
}

// Some tokens of an activation that is plain, static or scaled per token.
Activation TokensOf(const Activation& x, int64_t first, int64_t count) {
  Activation some = {x.values.Rows(first, count), x.scale};
  if (x.quantized() && !x.is_static()) some.scale = x.scale.Columns(first, count);
  return some;
}

}  // namespace

LinearPlan::~LinearPlan() {
  if (weight != nullptr) cublasLtMatrixLayoutDestroy(weight);
  if (x != nullptr) cublasLtMatrixLayoutDestroy(x);
  if (out != nullptr) cublasLtMatrixLayoutDestroy(out);
  if (product != nullptr) cublasLtMatmulDescDestroy(product);
}

LinearCandidates CudaOps::CandidatesFor(const LinearPlan& plan, const Tensor& x, const Tensor& out,
                                        bool whole, int most) const {
  LinearCandidates candidates;
  cublasLtMatmulPreference_t preference = nullptr;
  if (cublasLtMatmulPreferenceCreate(&preference) != CUBLAS_STATUS_SUCCESS) return candidates;
  using Attribute = cublasLtMatmulPreferenceAttributes_t;
  const auto set = [&](Attribute attribute, auto value) {
    return SetPreference(preference, attribute, value);
  };
  const auto x_alignment = static_cast<uint32_t>(AlignmentOf(x));
  const auto out_alignment = static_cast<uint32_t>(AlignmentOf(out));
  const bool prepared =
      set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{blas_workspace_.num_bytes()}) &&
      set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
          static_cast<uint32_t>(whole ? CUBLASLT_REDUCTION_SCHEME_NONE
                                      : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)) &&
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, x_alignment) &&
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out_alignment) &&
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out_alignment);
  if (!prepared || cublasLtMatmulAlgoGetHeuristic(
                       blas_, plan.product, plan.weight, plan.x, plan.out, plan.out, preference,
                       most, candidates.at, &candidates.count) != CUBLAS_STATUS_SUCCESS) {
    candidates.count = 0;
  }
  cublasLtMatmulPreferenceDestroy(preference);
  return candidates;
}

bool CudaOps::Runs(const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm) const {
  cublasLtMatmulHeuristicResult_t result{};
  return cublasLtMatmulAlgoCheck(blas_, plan.product, plan.weight, plan.x, plan.out, plan.out,
                                 &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= blas_workspace_.num_bytes();
}

LinearShape CudaOps::ShapeOf(const Tensor& x, const CudaWeight& weight, DType out,
                             LinearTail tail) {
  return {weight.out_features,
          weight.in_features,
          TokenClass(x.dim(0)),
          static_cast<int8_t>(weight.input),
          static_cast<int8_t>(x.dtype),
          static_cast<int8_t>(out),
          tail};
}

LinearPlan& CudaOps::PlanLinear(const Activation& activation, const CudaWeight& weight,
                                const Tensor& bias, const Tensor& out) {
  const Tensor& x = activation.values;
  const LinearKey key{weight.out_features,
                      x.dim(0),
                      weight.in_features,
                      x.row_stride,
                      out.row_stride,
                      weight.input,
                      x.dtype,
                      out.dtype,
                      static_cast<bool>(bias),
                      AlignmentOf(x),
                      AlignmentOf(out)};
  std::unique_ptr<LinearPlan>& plan = linear_plans_[key];
  if (plan == nullptr) {
    plan = std::make_unique<LinearPlan>();
    const SkinnyProduct product = {activation, weight.matrix, weight.scales, bias, out};
    if (may_use_own() && SkinnyFits(product)) {
      plan->skinny = ShapeSkinnyProduct(product, own_multiprocessors_);
    } else if (may_use_own() && !bias) {
      const WideProduct wide = {activation, weight.matrix, weight.scales, out};
      plan->wide = ShapeWideProduct(wide, own_multiprocessors_);
    }
    plan->described = (!bias || bias.dtype == out.dtype) &&
                      Describe(*plan, x, weight.matrix, static_cast<bool>(bias), out) &&
                      DescribeScales(*plan, weight, activation, !deterministic_);
    ChooseLinear(product, weight, *plan);
  }
  return *plan;
}

void CudaOps::ChooseLinear(const SkinnyProduct& product, const CudaWeight& weight,
                           LinearPlan& plan) {
  const Tensor& x = product.x.values;
  const bool bias = static_cast<bool>(product.bias);
  const LinearShape shape =
      ShapeOf(x, weight, product.out.dtype, bias ? LinearTail::kBias : LinearTail::kNone);
  const std::optional<LinearChoice> chosen = linear_choices_->Find(shape);
  for (const auto& [way, takes] : {std::pair{LinearWay::kSkinny, plan.skinny.clusters > 0},
                                   {LinearWay::kWide, plan.wide.rows > 0}}) {
    if (!takes) continue;
    if (own_use_ == OwnUse::kAlways || (chosen.has_value() && chosen->way == way)) {
      plan.choice.way = way;
      plan.found = true;
      return;
    }
  }
  if (!plan.described) return;
  if (deterministic_) return ChooseForAnyTokens(product, weight, plan);
  if (chosen.has_value() && chosen->way == LinearWay::kLibrary && Runs(plan, chosen->algorithm)) {
    plan.choice = *chosen;
    plan.found = true;
    return;
  }
  const bool measures = tuning_ && !bias;  // a bias has an address, which varies
  // A bias would be added to what was rounded already.
  const LinearCandidates candidates =
      CandidatesFor(plan, x, product.out, /*whole=*/bias, measures ? LinearCandidates::kMost : 1);
  plan.found = candidates.count > 0;
  if (!plan.found) return;
  plan.choice.algorithm = candidates.at[0].algo;
  if (!measures) return;
  MeasureChoices(product, weight, candidates, plan);
  linear_choices_->Set(shape, plan.choice);
}

// Of the ways to multiply some tokens, the first that takes any number: a token's sums then run in
// one order whatever their number is. Of a split product that is as many as have room for their
// partial sums. Nothing is measured, so that the choice is the same at every start.
void CudaOps::ChooseForAnyTokens(const SkinnyProduct& product, const CudaWeight& weight,
                                 LinearPlan& plan) {
  constexpr int64_t kManyTokens = 8192;
  const int64_t typical_tokens = 64 * static_cast<int64_t>(SizeOf(weight.matrix.dtype));
  const bool bias = static_cast<bool>(product.bias);
  const bool grouped = weight.input == ActivationFormat::kPerGroup;  // scales are not cut by tokens
  const auto describe = [&](int64_t tokens, LinearPlan& other) {
    Activation x = product.x;
    Tensor out = product.out;
    x.values.shape[0] = out.shape[0] = tokens;
    return Describe(other, x.values, weight.matrix, bias, out) &&
           DescribeScales(other, weight, x, !deterministic_);
  };
  const auto runs = [&](int64_t tokens, const cublasLtMatmulAlgo_t& algorithm) {
    LinearPlan other;
    return describe(tokens, other) && Runs(other, algorithm);
  };
  LinearPlan typical;
  if (!describe(typical_tokens, typical)) return;
  const LinearCandidates candidates = CandidatesFor(
      typical, product.x.values, product.out, /*whole=*/bias || grouped, LinearCandidates::kMost);
  const auto take = [&](const cublasLtMatmulAlgo_t& algorithm) {
    int64_t most = kManyTokens;
    while (!grouped && most > typical_tokens && !runs(most, algorithm)) most /= 2;
    plan.found = runs(kGroupRows, algorithm) && runs(most, algorithm);
    plan.choice.algorithm = algorithm;
    plan.most_tokens = most < kManyTokens ? most : INT64_MAX;
  };
  for (const bool wide : {false, true}) {
    for (int i = 0; i < candidates.count && !plan.found; ++i) {
      if (IsWide(candidates.at[i].algo) == wide) take(candidates.at[i].algo);
    }
  }
}

bool CudaOps::Multiply(const LinearPlan& plan, const cublasLtMatmulAlgo_t& algorithm,
                       const Activation& x, const CudaWeight& weight, const Tensor& out,
                       float beta) {
  if (!PointAtScales(plan, weight, x)) return false;
  const float one = 1;
  newest_lets_next_begin = false;
  return cublasLtMatmul(blas_, plan.product, &one, weight.matrix.data, plan.weight, x.values.data,
                        plan.x, &beta, out.data, plan.out, out.data, plan.out, &algorithm,
                        blas_workspace_.data(), blas_workspace_.num_bytes(),
                        stream_) == CUBLAS_STATUS_SUCCESS;
}

// True when cuBLASLt or one of our kernels for few or many tokens took it.
bool CudaOps::PlannedLinear(const Activation& activation, const CudaWeight& weight,
                            const Tensor& bias, const Tensor& result) {
  Activation x = activation;
  Tensor out = result;
  if (weight.input == ActivationFormat::kPerGroup) {  // see kGroupRows
    x.values.shape[0] = out.shape[0] = x.scale.row_stride;
  }
  LinearPlan& plan = PlanLinear(x, weight, bias, out);
  if (!plan.found) return false;
  if (const int64_t tokens = x.values.dim(0), most = plan.most_tokens; tokens > most) {
    for (int64_t first = 0; first < tokens; first += most) {
      const Activation some = TokensOf(x, first, std::min(most, tokens - first));
      const Tensor rows = out.Rows(first, some.values.dim(0));
      if (!PlannedLinear(some, weight, bias, rows)) return false;
    }
    return true;
  }
  if (plan.choice.way == LinearWay::kSkinny) {
    LaunchSkinnyProduct({x, weight.matrix, weight.scales, bias, out}, plan.skinny, stream_);
    ++own_taken_;
    return true;
  }
  if (plan.choice.way == LinearWay::kWide) {
    plan.found = LaunchWideProduct({x, weight.matrix, weight.scales, out}, plan.wide, stream_);
    own_taken_ += plan.found ? 1 : 0;
    return plan.found;
  }
  plan.found = (!bias || SetProduct(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                    bias.as<const void>())) &&
               Multiply(plan, plan.choice.algorithm, x, weight, out);
  return plan.found;
}

void CudaOps::CheckInput(const Activation& x, const CudaWeight& weight) {
  CheckForm(x);
  CHECK_EQ(x.values.dim(1), weight.in_features);
  CHECK_EQ(x.quantized(), weight.input != ActivationFormat::kPlain)
      << "an input that is not in its weight's form";
  CHECK(x.values.dtype == weight.matrix.dtype)
      << DTypeName(x.values.dtype) << " times " << DTypeName(weight.matrix.dtype);
}

void CudaOps::Linear(const Activation& activation, const Weight& weight, const Tensor& bias,
                     const Tensor& out) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  const Tensor& x = activation.values;
  CheckInput(activation, matrix);
  CHECK_EQ(out.dim(0), x.dim(0));
  CHECK_EQ(out.dim(1), weight.out_features);
  if (bias) CHECK_EQ(bias.dim(0), weight.out_features);
  if (x.dim(0) == 0) return;
  if (PlannedLinear(activation, matrix, bias, out)) return Launched("Linear");
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
