// Products of few tokens with the norm in front of them and the addition to the residual behind
// them, in one kernel (skinny_product.h) where that was measured to be faster; else one after
// another.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/linear_plan.h"

namespace regatta {
namespace {

SkinnyProduct WithNorm(const Tensor& x, const Norm& norm, const CudaWeight& weight,
                       const Tensor& out) {
  return {.x = Activation(x, weight.input_scale),
          .weight = weight.matrix,
          .scales = weight.scales,
          .bias = {},
          .out = out,
          .norm = norm.weight,
          .norm_eps = norm.eps};
}

}  // namespace

// During tuning everything goes together, so that it is measured.
bool CudaOps::NormGoesWithProducts(const Tensor& residual, const Weight& from,
                                   const Weight& to) const {
  const int64_t tokens = residual.dim(0);
  if (deterministic_ || tokens > kSkinnyTokens || skinny_use_ == SkinnyUse::kNever) return false;
  if (tuning_ || skinny_use_ == SkinnyUse::kAlways) return true;
  const auto takes = [&](const Weight& weight, DType x, int extras) {
    const std::optional<LinearChoice> choice =
        linear_choices_->Find(ShapeOf(tokens, x, weight, residual.dtype, extras));
    return choice.has_value() && choice->way == LinearWay::kSkinny;
  };
  const DType x = static_cast<const CudaWeight&>(from).matrix.dtype;
  return takes(from, x, 0) && takes(to, residual.dtype, kWithNorm);
}

const LinearPlan& CudaOps::PlanNormLinear(const SkinnyProduct& product, const Norm& norm,
                                          const CudaWeight& weight, const Tensor& plain_out) {
  const Tensor& x = product.x.values;
  const int extras = product.gated ? kWithNorm | kGated : kWithNorm;
  std::unique_ptr<LinearPlan>& plan = linear_plans_[KeyOf(x, weight, product.out, extras)];
  if (plan != nullptr) return *plan;
  plan = std::make_unique<LinearPlan>();
  if (deterministic_ || skinny_use_ == SkinnyUse::kNever || !SkinnyFits(product)) return *plan;
  plan->skinny = ShapeSkinnyProduct(product, num_multiprocessors_);
  if (plan->skinny.clusters == 0) return *plan;
  const LinearShape shape = ShapeOf(x.dim(0), x.dtype, weight, plain_out.dtype, kWithNorm);
  std::optional<LinearChoice> choice = linear_choices_->Find(shape);
  if (!choice.has_value() && tuning_ && skinny_use_ == SkinnyUse::kMeasured) {
    choice = {.way = MeasureNormLinear(product, plan->skinny, norm, weight, plain_out)};
    linear_choices_->Set(shape, *choice);
  }
  plan->choice.way = LinearWay::kSkinny;
  plan->found = skinny_use_ == SkinnyUse::kAlways ||
                (choice.has_value() && choice->way == LinearWay::kSkinny);
  return *plan;
}

void CudaOps::NormLinear(const Tensor& x, const Norm& norm, const Weight& weight,
                         const Tensor& bias, const Tensor& out) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  CHECK_EQ(x.dim(1), weight.in_features);
  CHECK_EQ(norm.weight.dim(0), weight.in_features);
  CHECK_EQ(out.dim(0), x.dim(0));
  CHECK_EQ(out.dim(1), weight.out_features);
  if (x.dim(0) == 0) return;
  SkinnyProduct product = WithNorm(x, norm, matrix, out);
  product.bias = bias;
  const LinearPlan& plan = PlanNormLinear(product, norm, matrix, out);
  if (!plan.found) return Ops::NormLinear(x, norm, weight, bias, out);
  LaunchSkinnyProduct(product, plan.skinny, stream_);
  Launched("NormLinear");
}

void CudaOps::NormLinearRope(const Tensor& x, const Norm& norm, const Weight& weight,
                             const Tensor& bias, const Tensor& qkv, const AttentionBatch& batch,
                             const AttentionParams& params, const KvLayer& cache) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  CHECK_EQ(x.dim(0), batch.num_tokens);
  CHECK_EQ(qkv.dim(1), int64_t{params.num_heads + 2 * params.num_kv_heads} * params.head_dim);
  SkinnyProduct product = WithNorm(x, norm, matrix, qkv);
  product.bias = bias;
  product.heads = {.num_heads = params.num_heads,
                   .num_kv_heads = params.num_kv_heads,
                   .head_dim = params.head_dim,
                   .positions = batch.positions,
                   .kv_slot = batch.kv_slot,
                   .rope = params.rope,
                   .cache = cache};
  const bool heads_normed = params.q_norm || params.k_norm;
  if (x.dim(0) == 0 || heads_normed || !SkinnyFits(product) ||
      !PlanNormLinear(product, norm, matrix, qkv).found) {
    return Ops::NormLinearRope(x, norm, weight, bias, qkv, batch, params, cache);
  }
  LaunchSkinnyProduct(product, PlanNormLinear(product, norm, matrix, qkv).skinny, stream_);
  Launched("NormLinearRope");
}

void CudaOps::LinearAdd(const Activation& x, const Weight& weight, const Tensor& residual,
                        const Tensor& delta) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  CheckForm(x);
  CHECK_EQ(x.values.dim(1), weight.in_features);
  for (const Tensor* out : {&residual, &delta}) {
    CHECK_EQ(out->dim(0), x.values.dim(0));
    CHECK_EQ(out->dim(1), weight.out_features);
  }
  if (x.values.dim(0) == 0) return;
  const SkinnyProduct product = {.x = x,
                                 .weight = matrix.matrix,
                                 .scales = matrix.scales,
                                 .bias = {},
                                 .out = residual,
                                 .adds = true};
  if (weight.input == ActivationFormat::kPerGroup || !SkinnyFits(product)) {
    return Ops::LinearAdd(x, weight, residual, delta);
  }
  const LinearPlan& plan = PlanLinear(x, matrix, {}, delta);
  if (!plan.found || plan.choice.way != LinearWay::kSkinny) {
    return Ops::LinearAdd(x, weight, residual, delta);
  }
  LaunchSkinnyProduct(product, plan.skinny, stream_);
  Launched("LinearAdd");
}

void CudaOps::AddGatedMlp(const Tensor& residual, const Norm& norm, const MlpWeights& weights,
                          const MlpScratch& scratch, const Tensor& delta) {
  const int64_t tokens = residual.dim(0), width = weights.down->in_features;
  const auto& gate_up = static_cast<const CudaWeight&>(*weights.gate_up);
  const Activation activated = scratch.activated.FirstRows(tokens);
  SkinnyProduct product = WithNorm(residual, norm, gate_up, activated.values);
  product.gated = true;
  product.out_scale = activated.scale.as<const float>();
  const bool known_scale = !activated.quantized() || activated.is_static();
  const Tensor between = scratch.gate_up.Rows(0, tokens).Columns(0, 2 * width);
  const LinearPlan* plan =
      tokens > 0 && known_scale ? &PlanNormLinear(product, norm, gate_up, between) : nullptr;
  if (plan == nullptr || !plan->found) {
    return Ops::AddGatedMlp(residual, norm, weights, scratch, delta);
  }
  LaunchSkinnyProduct(product, plan->skinny, stream_);
  Launched("AddGatedMlp");
  LinearAdd(activated, *weights.down, residual, delta);
}

}  // namespace regatta
