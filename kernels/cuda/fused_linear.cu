// Products that take along what stands before or behind them: norms, gates, additions to the
// residual. The kernel for few tokens does, where it is the product's choice; all else is composed.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/linear_plan.h"

namespace regatta {
namespace {

SkinnyProduct ProductOf(const Activation& x, const CudaWeight& weight, const Tensor& bias,
                        const Tensor& out) {
  CHECK_EQ(x.values.dim(1), weight.in_features);
  CHECK(x.values.dtype == weight.matrix.dtype) << "an input that is not in its weight's form";
  CHECK_EQ(out.dim(0), x.values.dim(0));
  return {.x = x, .weight = weight.matrix, .scales = weight.scales, .bias = bias, .out = out};
}

SkinnyNorm NormOf(const NormedInput& x) {
  CHECK_EQ(x.residual.dim(0), x.scratch.values.dim(0));
  CHECK_EQ(x.residual.dim(1), x.scratch.values.dim(1));
  CHECK_EQ(x.weight.dim(0), x.residual.dim(1));
  return {x.residual, x.weight, x.eps};
}

}  // namespace

void UseFusedNorms(Ops& ops, bool on) { static_cast<CudaOps&>(ops).UseFusedNorms(on); }

bool CudaOps::FusesNorms(const Tensor& residual, const Weight& weight) const {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  const bool form =
      weight.input == ActivationFormat::kPlain || weight.input == ActivationFormat::kStatic;
  const int64_t tokens = residual.dim(0);
  if (!fused_norms_ || deterministic_ || !form || tokens > kNormedTokens) return false;
  if (skinny_use_ != SkinnyUse::kMeasured) return skinny_use_ == SkinnyUse::kAlways;
  const std::optional<LinearChoice> chosen =
      linear_choices_->Find(LinearShapeOf(matrix, tokens, residual.dtype, /*bias=*/false));
  return chosen.has_value() && chosen->way == LinearWay::kSkinny;
}

bool CudaOps::FusedLinear(const SkinnyProduct& product, const CudaWeight& weight,
                          const Tensor& plain_out) {
  const int64_t tokens = product.x.values.dim(0);
  if (tokens == 0 || weight.input == ActivationFormat::kPerGroup || !SkinnyFits(product)) {
    return false;
  }
  const LinearPlan& plan = PlanLinear(product.x, weight, product.bias, plain_out);
  if (!plan.found || plan.choice.way != LinearWay::kSkinny) return false;
  LaunchSkinnyProduct(product, plan.skinny, stream_);
  return true;
}

void CudaOps::NormLinear(const NormedInput& x, const Weight& weight, const Tensor& bias,
                         const Tensor& out) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  SkinnyProduct product = ProductOf(x.scratch, matrix, bias, out);
  product.norm = NormOf(x);
  if (!FusedLinear(product, matrix, out)) return Ops::NormLinear(x, weight, bias, out);
  Launched("NormLinear");
}

void CudaOps::LinearAdd(const Activation& x, const Weight& weight, const Tensor& delta,
                        const Tensor& residual) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  CHECK(delta.dtype == residual.dtype && delta.dim(1) == residual.dim(1));
  SkinnyProduct product = ProductOf(x, matrix, {}, residual);
  product.adds = true;
  if (!FusedLinear(product, matrix, delta)) return Ops::LinearAdd(x, weight, delta, residual);
  Launched("LinearAdd");
}

bool CudaOps::GatedLinear(const Activation& x, const SkinnyNorm& norm, const MlpWeights& weights,
                          const MlpScratch& scratch) {
  const int64_t tokens = x.values.dim(0), width = weights.down->in_features;
  const auto& matrix = static_cast<const CudaWeight&>(*weights.gate_up);
  const Activation activated = scratch.activated.FirstRows(tokens);
  if (activated.quantized() && !activated.is_static()) return false;
  SkinnyProduct product = ProductOf(x, matrix, {}, activated.values);
  product.gated = true;
  product.out_scale = activated.scale.as<const float>();
  product.norm = norm;
  const Tensor between = scratch.gate_up.Rows(0, tokens).Columns(0, 2 * width);
  if (!FusedLinear(product, matrix, between)) return false;
  Launched("GatedLinear");
  return true;
}

void CudaOps::GatedMlp(const Activation& x, const MlpWeights& weights, const MlpScratch& scratch,
                       const Tensor& out) {
  if (!GatedLinear(x, {}, weights, scratch)) return Ops::GatedMlp(x, weights, scratch, out);
  Linear(scratch.activated.FirstRows(x.values.dim(0)), *weights.down, {}, out);
}

void CudaOps::NormMlpAdd(const NormedInput& x, const MlpWeights& weights, const MlpScratch& scratch,
                         const Tensor& delta) {
  if (!GatedLinear(x.scratch, NormOf(x), weights, scratch)) {
    return Ops::NormMlpAdd(x, weights, scratch, delta);
  }
  const Activation activated = scratch.activated.FirstRows(x.residual.dim(0));
  LinearAdd(activated, *weights.down, delta, x.residual);
}

}  // namespace regatta
