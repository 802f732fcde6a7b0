// The product that ends an attention or an MLP, its sum over ranks, its addition to the residual
// and the norm of that. In a small step of ranks whose peers are mapped, all behind the product is
// one kernel; of one rank alone, cuBLASLt adds where that is faster.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/linear_plan.h"
#include "kernels/cuda/peer_all_reduce.h"

namespace regatta {

// residual += x W^T within cuBLASLt's product. False, and nothing done, where it does not take the
// operands, or where it and a norm are not known to be faster than all apart.
bool CudaOps::AddLinear(const LinearAddNorm& call) {
  const auto& [x, weight, residual, delta, norm_weight, eps, out] = call;
  const bool grouped = weight.input == ActivationFormat::kPerGroup;  // multiplied by padded rows
  if (!may_use_own() || grouped || x.values.dim(0) == 0) return false;
  CheckInput(x, weight);
  CHECK_EQ(residual.dim(0), x.values.dim(0));
  CHECK_EQ(residual.dim(1), weight.out_features);
  LinearPlan& plan = PlanLinear(x, weight, Tensor{}, residual);
  if (!plan.described || plan.skinny.clusters > 0) return false;
  if (!plan.adding.has_value()) plan.adding = ChooseAdding(plan, call);
  if (plan.adding->way == LinearWay::kApart) return false;
  if (!Multiply(plan, plan.adding->algorithm, x, weight, residual, /*beta=*/1)) {
    plan.adding->way = LinearWay::kApart;
    return false;
  }
  ++adding_taken_;
  return true;
}

void CudaOps::LinearReduceAddNorm(const Activation& x, const Weight& weight, Reducer& reducer,
                                  const Tensor& residual, const Tensor& delta,
                                  const Tensor& norm_weight, float eps, const Activation& out) {
  const auto* source = dynamic_cast<const PeerReducer*>(&reducer);
  const PeerGroup* peers = source == nullptr ? nullptr : source->peers();
  if (peers != nullptr && PeersCanAddNorm(*peers, delta, residual, norm_weight, out)) {
    Linear(x, weight, Tensor{}, delta);
    PeerAllReduceAddNorm(*peers, delta, residual, norm_weight, eps, out, stream_);
    return Launched("LinearReduceAddNorm");
  }
  const auto& matrix = static_cast<const CudaWeight&>(weight);
  if (reducer.size() == 1 && AddLinear({x, matrix, residual, delta, norm_weight, eps, out})) {
    return RmsNorm(residual, norm_weight, eps, out);
  }
  Ops::LinearReduceAddNorm(x, weight, reducer, residual, delta, norm_weight, eps, out);
}

}  // namespace regatta
