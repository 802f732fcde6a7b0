// MLPs with a gate: our kernels take the gate with the product in front of it where that is faster.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/linear_plan.h"

namespace regatta {

// True when one of our kernels took both the product and the gate.
bool CudaOps::GatedLinear(const Activation& x, const CudaWeight& weight, const Tensor& gate_up,
                          const Activation& activated) {
  if (x.values.dim(0) == 0 || (activated.quantized() && !activated.is_static())) return false;
  const SkinnyProduct few = {.x = x,
                             .weight = weight.matrix,
                             .scales = weight.scales,
                             .bias = {},
                             .out = activated.values,
                             .gated = true,
                             .out_scale = activated.scale.as<const float>()};
  if (weight.input != ActivationFormat::kPerGroup && SkinnyFits(few)) {
    const LinearPlan& plan = PlanLinear(x, weight, {}, gate_up);
    if (!plan.found || plan.choice.way != LinearWay::kSkinny) return false;
    LaunchSkinnyProduct(few, plan.skinny, stream_);
    ++own_taken_;
    return true;
  }
  if (!may_use_own()) return false;
  const WideProduct many = {x, weight.matrix, weight.scales, activated, /*gated=*/true};
  const WideShape shape = ShapeWideProduct(many, own_multiprocessors_);
  const bool taken = shape.rows > 0 && ChoosesWideGate(many, weight, shape, gate_up) &&
                     LaunchWideProduct(many, shape, stream_);
  own_taken_ += taken ? 1 : 0;
  return taken;
}

void CudaOps::GatedMlp(const Activation& x, const MlpWeights& weights, const MlpScratch& scratch,
                       const Tensor& out) {
  const int64_t tokens = x.values.dim(0), width = weights.down->in_features;
  const auto& gate_up = static_cast<const CudaWeight&>(*weights.gate_up);
  CheckInput(x, gate_up);
  CHECK_EQ(gate_up.out_features, 2 * width);
  const Tensor between = scratch.gate_up.Rows(0, tokens).Columns(0, 2 * width);
  const Activation activated = scratch.activated.FirstRows(tokens);
  if (!GatedLinear(x, gate_up, between, activated)) {
    return Ops::GatedMlp(x, weights, scratch, out);
  }
  Launched("GatedMlp");
  Linear(activated, *weights.down, {}, out);
}

}  // namespace regatta
