// Choice of experts (Shazeer et al. 2017; sigmoid scores as in DeepSeek-V3): one warp per token.
#include <cuda/std/limits>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

constexpr float kInfinity = cuda::std::numeric_limits<float>::infinity();
constexpr int kTokensPerBlock = 4;

struct Choice {
  float logit;
  int id;
};

// Falling logit, then rising id.
__device__ bool Before(const Choice& a, const Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The next expert after `last`. NaN counts as -infinity so that there always is one.
__device__ Choice NextChoice(const float* logits, int num_experts, const Choice& last) {
  Choice best{-kInfinity, num_experts};
  for (int e = threadIdx.x % kWarp; e < num_experts; e += kWarp) {
    const Choice own{logits[e] == logits[e] ? logits[e] : -kInfinity, e};
    if (Before(last, own) && Before(own, best)) best = own;
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Choice other{__shfl_xor_sync(kAllLanes, best.logit, offset),
                       __shfl_xor_sync(kAllLanes, best.id, offset)};
    if (Before(other, best)) best = other;
  }
  return best;
}

__global__ void RouteKernel(Tensor logits, MoeParams params, Tensor ids, Tensor weights) {
  const int64_t token = int64_t{blockIdx.x} * kTokensPerBlock + threadIdx.x / kWarp;
  if (token >= logits.shape[0]) return;
  const int lane = threadIdx.x % kWarp;
  const float* row = static_cast<const float*>(logits.data) + token * logits.row_stride;
  float max = -kInfinity;
  for (int e = lane; e < params.num_experts; e += kWarp) max = fmaxf(max, row[e]);
  max = WarpMax(max);
  float sum = 0;
  for (int e = lane; e < params.num_experts; e += kWarp) sum += expf(row[e] - max);
  sum = WarpSum(sum);
  int32_t* chosen = static_cast<int32_t*>(ids.data) + token * ids.row_stride;
  float* weight = static_cast<float*>(weights.data) + token * weights.row_stride;
  Choice choice{kInfinity, -1};
  float chosen_sum = 0;
  for (int i = 0; i < params.experts_per_token; ++i) {
    choice = NextChoice(row, params.num_experts, choice);
    const float score =
        params.sigmoid ? 1.0f / (1.0f + expf(-choice.logit)) : expf(choice.logit - max) / sum;
    chosen_sum += score;
    if (lane == 0) {
      chosen[i] = choice.id;
      weight[i] = score;
    }
  }
  __syncwarp();
  const float scale = params.routed_scaling / (params.normalize_topk ? chosen_sum : 1.0f);
  for (int i = lane; i < params.experts_per_token; i += kWarp) weight[i] *= scale;
}

}  // namespace

void CudaOps::MoeRoute(const Tensor& logits, const MoeParams& params, const Tensor& expert_ids,
                       const Tensor& expert_weights) {
  CHECK(logits.dtype == DType::kFloat32);
  CHECK_EQ(logits.dim(1), params.num_experts);
  CHECK_LE(params.experts_per_token, params.num_experts);
  CHECK_EQ(expert_ids.dim(1), params.experts_per_token);
  CHECK_EQ(expert_weights.dim(1), params.experts_per_token);
  if (logits.dim(0) == 0) return;
  RouteKernel<<<CeilDiv(logits.dim(0), kTokensPerBlock), kTokensPerBlock * kWarp, 0, stream_>>>(
      logits, params, expert_ids, expert_weights);
  Launched("MoeRoute");
}

}  // namespace regatta
