// Choice of experts (Shazeer et al. 2017; sigmoid scores as in DeepSeek-V3).
#include <limits>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/vector_math.h"

namespace regatta {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Choice {
  float logit = kInfinity;
  int id = -1;
};

// The next expert in order of falling logit, then rising id. NaN counts as -infinity so that there
// always is one.
Choice NextChoice(const float* logits, int num_experts, const Choice& last) {
  Choice best{-kInfinity, -1};
  for (int e = 0; e < num_experts; ++e) {
    const float logit = logits[e] == logits[e] ? logits[e] : -kInfinity;
    const bool after_last = logit < last.logit || (logit == last.logit && e > last.id);
    if (after_last && (best.id < 0 || logit > best.logit)) best = {logit, e};
  }
  return best;
}

void RouteRow(const float* logits, const MoeParams& params, int32_t* ids, float* weights) {
  const int num_experts = params.num_experts;
  const float max = Max(num_experts, [&](int64_t e) { return logits[e]; });
  const float sum = FixedOrderSum(num_experts, [&](int64_t e) { return Exp(logits[e] - max); });
  Choice choice;
  float chosen_sum = 0;
  for (int i = 0; i < params.experts_per_token; ++i) {
    choice = NextChoice(logits, num_experts, choice);
    ids[i] = choice.id;
    weights[i] = params.sigmoid ? Sigmoid(choice.logit) : Exp(choice.logit - max) / sum;
    chosen_sum += weights[i];
  }
  const float scale = params.routed_scaling / (params.normalize_topk ? chosen_sum : 1.0f);
  for (int i = 0; i < params.experts_per_token; ++i) weights[i] *= scale;
}

}  // namespace

void CpuOps::MoeRoute(const Tensor& logits, const MoeParams& params, const Tensor& expert_ids,
                      const Tensor& expert_weights) {
  CHECK(logits.dtype == DType::kFloat32);
  CHECK_EQ(logits.dim(1), params.num_experts);
  CHECK_LE(params.experts_per_token, params.num_experts);
  CHECK_EQ(expert_ids.dim(1), params.experts_per_token);
  CHECK_EQ(expert_weights.dim(1), params.experts_per_token);
  ForEachRow(logits.dim(0), params.num_experts * params.experts_per_token, [&](int64_t t) {
    RouteRow(logits.as<float>() + t * logits.row_stride, params,
             expert_ids.as<int32_t>() + t * expert_ids.row_stride,
             expert_weights.as<float>() + t * expert_weights.row_stride);
  });
}

}  // namespace regatta
