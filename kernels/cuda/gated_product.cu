// Products with a gate: our kernels take it with the product in front where that is faster.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/linear_plan.h"

namespace regatta {

// True when one of our kernels took both the product and the gate.
bool CudaOps::GatedLinear(const Activation& x, const CudaWeight& weight, const Tensor& gate_up,
                          const Activation& out) {
  if (x.values.dim(0) == 0 || (out.quantized() && !out.is_static())) return false;
  const SkinnyProduct few = {.x = x,
                             .weight = weight.matrix,
                             .scales = weight.scales,
                             .bias = {},
                             .out = out.values,
                             .gated = true,
                             .out_scale = out.scale.as<const float>()};
  if (weight.input != ActivationFormat::kPerGroup && SkinnyFits(few)) {
    const LinearPlan& plan = PlanLinear(x, weight, {}, gate_up);
    if (!plan.found || plan.choice.way != LinearWay::kSkinny) return false;
    LaunchSkinnyProduct(few, plan.skinny, stream_);
    ++own_taken_;
    return true;
  }
  if (!may_use_own()) return false;
  const WideProduct many = {x, weight.matrix, weight.scales, out, /*gated=*/true};
  const WideShape shape = ShapeWideProduct(many, own_multiprocessors_);
  const bool taken = shape.rows > 0 && ChoosesWideGate(many, weight, shape, gate_up) &&
                     LaunchWideProduct(many, shape, stream_);
  own_taken_ += taken ? 1 : 0;
  return taken;
}

void CudaOps::GatedProduct(const Activation& x, const Weight& weight, const Tensor& gate_up,
                           const Activation& out) {
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  CheckInput(x, matrix);
  CHECK_EQ(weight.out_features, 2 * out.values.dim(1));
  CHECK_EQ(x.values.dim(0), out.values.dim(0));
  if (!GatedLinear(x, matrix, gate_up, out)) return Ops::GatedProduct(x, weight, gate_up, out);
  Launched("GatedProduct");
}

}  // namespace regatta
