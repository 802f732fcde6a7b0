// Default bodies of the coarse operations: compositions of fine ones, and the oracle of every fused
// override.
#include "kernels/ops.h"

namespace regatta {

void Ops::Attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionBatch& batch,
                    const AttentionParams& params, const KvLayer& cache, const Activation& out) {
  RopeAndCache(q, k, v, batch, params, cache);
  PagedAttention(q, batch, params, cache, out);
}

void Ops::LinearReduceAddNorm(const Activation& x, const Weight& weight, Reducer& reducer,
                              const Tensor& residual, const Tensor& delta,
                              const Tensor& norm_weight, float eps, const Activation& out) {
  Linear(x, weight, Tensor{}, delta);
  if (reducer.size() > 1) reducer.AllReduceSum(delta);
  AddRmsNorm(residual, delta, norm_weight, eps, out);
}

void Ops::GatedProduct(const Activation& x, const Weight& weight, const Tensor& gate_up,
                       const Activation& out) {
  Linear(x, weight, Tensor{}, gate_up);
  SiluMul(gate_up, out);
}

}  // namespace regatta
