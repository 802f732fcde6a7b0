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

void Ops::GatedMlp(const Activation& x, const MlpWeights& weights, const MlpScratch& scratch,
                   const Tensor& out) {
  const int64_t width = weights.down->in_features;
  CHECK_EQ(weights.gate_up->out_features, 2 * width);
  const int64_t tokens = x.values.dim(0);
  const Tensor gate_up = scratch.gate_up.Rows(0, tokens).Columns(0, 2 * width);
  const Activation activated = scratch.activated.FirstRows(tokens);
  Linear(x, *weights.gate_up, Tensor{}, gate_up);
  SiluMul(gate_up, activated);
  Linear(activated, *weights.down, Tensor{}, out);
}

}  // namespace regatta
