// The device's side of streamed_product.h: units of 128 rows of the weight and all tokens. One
// warpgroup asks the copy engine for lines of the depth, two multiply 64 rows each; blocks of a
// cluster share the depth and add up their sums in order.
#pragma once

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/streamed_product.h"
#include "kernels/cuda/tensor_copy.cuh"

namespace regatta {
namespace streamed {

inline constexpr int kUnitRows = 128;
inline constexpr int kMultiplying = 2;  // warpgroups
inline constexpr int kSumming = kMultiplying * kWarpgroup;
inline constexpr int kThreads = kWarpgroup + kSumming;
inline constexpr int kPassTokens = 64;            // whose sums leave at once
inline constexpr int kSumStride = kUnitRows + 4;  // so that fragments meet no bank twice

struct StreamedCall {
  CUtensorMap x, weight;  // boxes of all tokens; of the rows of a part
  WideProduct product;
  int split;
  int units;
  int steps;  // lines of the depth
};

template <typename In, typename To, int kRoom, bool kIsGated>
struct StreamedTraits {
  using T = In;
  using Out = To;
  static constexpr int kTokens = kRoom;
  static constexpr bool kGated = kIsGated;
  static constexpr int kParts = kGated ? 2 : 1, kFeatures = kUnitRows / kParts;
  static constexpr int kStages = kRoom == 64 ? 8 : kRoom == 128 ? 6 : 4;
};

// Lines of one step, chunks swizzled.
template <int kTokens>
struct StreamedStage {
  unsigned char weight[kUnitRows][kCopyLine];
  unsigned char tokens[kTokens][kCopyLine];
};

template <typename Traits>
struct StreamedMemory {
  StreamedStage<Traits::kTokens> stage[Traits::kStages];
  alignas(16) float sums[kPassTokens][kSumStride];
  PhaseBarrier full[Traits::kStages], empty[Traits::kStages];
  PhaseBarrier written, read;  // sums of a pass, by all blocks of the cluster

  __device__ void Init(int split) {
    for (int i = 0; i < Traits::kStages; ++i) {
      full[i].Init(1);
      empty[i].Init(kMultiplying);
    }
    written.Init(split);
    read.Init(split);
    PublishBarriers();
  }
};

// Threads of the warpgroups that multiply come here before any goes on.
__device__ inline void SyncSumming() { asm volatile("bar.sync 1, %0;" ::"n"(kSumming) : "memory"); }

// Calls act(unit) for each unit of the block's cluster.
template <typename Act>
__device__ void ForUnits(const StreamedCall& call, const Act& act) {
  const auto cluster = static_cast<int>(blockIdx.x) / call.split;
  for (int unit = cluster; unit < call.units; unit += static_cast<int>(gridDim.x) / call.split) {
    act(unit);
  }
}

// The block's part of the depth.
struct Steps {
  int first, end;
  __device__ explicit Steps(const StreamedCall& call) {
    const auto rank = static_cast<int>(blockIdx.x) % call.split;
    first = call.steps * rank / call.split;
    end = call.steps * (rank + 1) / call.split;
  }
};

// Brings the lines of all units, as stages become free; one thread. The first of the weight are on
// their way before the kernel in front has ended.
template <typename Traits>
__device__ void BringLines(const StreamedCall& call, StreamedMemory<Traits>& memory) {
  constexpr int kStages = Traits::kStages;
  const auto features = static_cast<int>(call.product.out.values.shape[1]);
  const Steps steps(call);
  const uint64_t once = ReadOncePolicy();
  const auto bring_weight = [&](int turn, int step, int unit) {
    auto& stage = memory.stage[turn % kStages];
    PhaseBarrier& full = memory.full[turn % kStages];
    full.ArriveExpecting(sizeof(stage));
    for (int part = 0; part < Traits::kParts; ++part) {
      CopyTileOnce(stage.weight[part * Traits::kFeatures], call.weight, step * kCopyLine,
                   part * features + unit * Traits::kFeatures, full, once);
    }
  };
  const auto for_turns = [&](const auto& act) {
    int turn = 0;
    ForUnits(call, [&](int unit) {
      for (int step = steps.first; step < steps.end; ++step, ++turn) act(turn, step, unit);
    });
  };
  for_turns([&](int turn, int step, int unit) {
    if (turn < kStages) bring_weight(turn, step, unit);
  });
  AwaitPrevious();
  for_turns([&](int turn, int step, int unit) {
    if (turn >= kStages) {
      memory.empty[turn % kStages].Await(turn / kStages - 1);
      bring_weight(turn, step, unit);
    }
    CopyTile(memory.stage[turn % kStages].tokens, call.x, step * kCopyLine, 0,
             memory.full[turn % kStages]);
  });
}

// Fragments of a warpgroup's 64 rows and 8 tokens each.
template <typename Traits>
using StreamedSums = float[Traits::kTokens / 8][4];

// The sums of a unit over the block's depth; returns the next turn.
template <typename Traits>
__device__ int MultiplyUnit(const StreamedCall& call, StreamedMemory<Traits>& memory, int turn,
                            StreamedSums<Traits>& sums) {
  constexpr int kProductDepth = 32;  // bytes of the depth that one product takes
  constexpr int kStages = Traits::kStages;
  const Steps steps(call);
  const int first_row = static_cast<int>(threadIdx.x / kWarpgroup - 1) * kWarpgroup / 2;
  const auto release = [&](int of) {
    if (threadIdx.x % kWarpgroup == 0) memory.empty[of % kStages].Arrive();
  };
  for (int step = steps.first; step < steps.end; ++step, ++turn) {
    const auto& stage = memory.stage[turn % kStages];
    memory.full[turn % kStages].Await(turn / kStages);
    const uint64_t weight = SwizzledMatrix(stage.weight[first_row], 0);
    const uint64_t tokens = SwizzledMatrix(stage.tokens, 0);
    BeginProducts();
#pragma unroll
    for (int byte = 0; byte < kCopyLine; byte += kProductDepth) {
      BeginMultiply<typename Traits::T>(sums, Further(weight, byte), Further(tokens, byte),
                                        step > steps.first || byte > 0);
    }
    CommitProducts();
    WaitProducts<1>();
    if (step > steps.first) release(turn - 1);
  }
  WaitProducts<0>();
  Pin(sums);
  release(turn - 1);
  return turn;
}

// Puts a pass's sums where all blocks of the cluster find them. Lane is 4 g + t.
template <typename Traits>
__device__ void KeepSums(const StreamedSums<Traits>& sums, int pass,
                         float (&kept)[kPassTokens][kSumStride]) {
  const auto lane = static_cast<int>(threadIdx.x) % kWarp;
  const int row = static_cast<int>(threadIdx.x - kWarpgroup) / kWarp * 16 + lane / 4;
#pragma unroll
  for (int n = 0; n < kPassTokens / 8; ++n) {
    // Only passes that exist are asked for: the index is never beyond.
    const float(&sum)[4] = sums[pass * (kPassTokens / 8) + n];
    const int token = n * 8 + lane % 4 * 2;
    kept[token][row] = sum[0];
    kept[token + 1][row] = sum[1];
    kept[token][row + 8] = sum[2];
    kept[token + 1][row + 8] = sum[3];
  }
}

// Sums of four neighbouring rows of a unit and a token, over the cluster. (Of two blocks the order
// makes no difference.)
__device__ inline float4 ClusterSums(int split, const float* kept, int peer) {
  float4 sum = *reinterpret_cast<const float4*>(kept);
  if (split > 1) {
    const float4 other = LoadFourOfBlock(kept, peer);
    sum = {sum.x + other.x, sum.y + other.y, sum.z + other.z, sum.w + other.w};
  }
  return sum;
}

// Scales of the product's sums: one, or one for each feature.
struct FeatureScales {
  float one = 1;
  const float* of = nullptr;

  __device__ explicit FeatureScales(const WideProduct& product) {
    if (product.scales.offset == 0) return;
    const auto* scales = reinterpret_cast<const float*>(
        static_cast<const char*>(product.weight.data) + product.scales.offset);
    if (product.scales.features_shared == 1) {
      of = scales;
    } else {
      one = *scales;
    }
  }
  __device__ float At(int feature) const { return of == nullptr ? one : of[feature]; }
};

// Writes this block's share of a pass: four features of a token a thread.
template <typename Traits>
__device__ void StorePass(const StreamedCall& call, int unit, int first_token,
                          const FeatureScales& scales,
                          const float (&kept)[kPassTokens][kSumStride]) {
  using Out = typename Traits::Out;
  constexpr int kFours = Traits::kFeatures / 4;
  const WideProduct& product = call.product;
  const Tensor& out = product.out.values;
  const auto width = static_cast<int>(out.shape[1]), tokens = static_cast<int>(out.shape[0]);
  const int share = kPassTokens / call.split, rank = static_cast<int>(blockIdx.x) % call.split;
  const auto thread = static_cast<int>(threadIdx.x) - kWarpgroup;
  float out_factor = 1;
  if constexpr (sizeof(Out) == 1) out_factor /= *static_cast<const float*>(product.out.scale.data);
  const auto* x_scales = static_cast<const float*>(product.x.scale.data);
  const bool x_shared = product.x.scale.rank == 1;
  const int column = thread % kFours * 4, feature = unit * Traits::kFeatures + column;
  if (feature >= width) return;
  float by[4], up_by[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    by[j] = scales.At(feature + j);
    if constexpr (Traits::kGated) up_by[j] = scales.At(width + feature + j) * out_factor;
  }
#pragma unroll 4
  for (int i = thread / kFours; i < share; i += kSumming / kFours) {
    const int row = rank * share + i, token = first_token + row;
    if (token >= tokens) break;
    const float x_scale = x_scales == nullptr ? 1.0f : x_scales[x_shared ? 0 : token];
    float values[4], ups[4];
    *reinterpret_cast<float4*>(values) = ClusterSums(call.split, &kept[row][column], 1 - rank);
    if constexpr (Traits::kGated) {
      *reinterpret_cast<float4*>(ups) =
          ClusterSums(call.split, &kept[row][column + Traits::kFeatures], 1 - rank);
    }
    Pack<Out, 4> pack;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float value = values[j] * x_scale * by[j];
      if constexpr (Traits::kGated) {
        value = Gated<__nv_fp8_e4m3>(value, ups[j] * x_scale * up_by[j]);
      }
      pack.at[j] = Narrow<Out>(value);
    }
    *reinterpret_cast<Pack<Out, 4>*>(static_cast<Out*>(out.data) + token * out.row_stride +
                                     feature) = pack;
  }
}

// Ends a unit; `passes` counts those of the block, on all of which the cluster agrees.
template <typename Traits>
__device__ void StoreUnit(const StreamedCall& call, StreamedMemory<Traits>& memory, int unit,
                          const FeatureScales& scales, const StreamedSums<Traits>& sums,
                          int& passes) {
  const auto tokens = static_cast<int>(call.product.out.values.shape[0]);
  const auto rank = static_cast<int>(threadIdx.x) - kWarpgroup;  // to tell, of the first threads
#pragma unroll
  for (int pass = 0; pass < Traits::kTokens / kPassTokens; ++pass) {
    if (pass * kPassTokens >= tokens) break;
    if (call.split > 1 && passes > 0) memory.read.Await(passes - 1);
    KeepSums<Traits>(sums, pass, memory.sums);
    SyncSumming();
    if (call.split > 1) {
      if (rank < call.split) memory.written.ArriveAtWithWrites(rank);
      memory.written.AwaitCluster(passes);
    }
    StorePass<Traits>(call, unit, pass * kPassTokens, scales, memory.sums);
    SyncSumming();
    if (call.split > 1 && rank < call.split) memory.read.ArriveAt(rank);
    ++passes;
  }
}

template <typename Traits>
__global__ void __launch_bounds__(kThreads, Traits::kTokens == 64 ? 2 : 1)
    StreamedKernel(const __grid_constant__ StreamedCall call) {
#if defined(REGATTA_HAS_WARPGROUPS)
  extern __shared__ __align__(1024) unsigned char streamed_memory[];
  auto& memory = *reinterpret_cast<StreamedMemory<Traits>*>(streamed_memory);
  if (threadIdx.x == 0) {
    PrefetchMap(call.x);
    PrefetchMap(call.weight);
    memory.Init(call.split);
  }
  LetNextBegin();
  SyncCluster();
  if (threadIdx.x < kWarpgroup) {
    if (threadIdx.x == 0) BringLines(call, memory);
    __syncwarp();
  } else {
    AwaitPrevious();
    const FeatureScales scales(call.product);
    StreamedSums<Traits> sums;
    int turn = 0, passes = 0;
    ForUnits(call, [&](int unit) {
      turn = MultiplyUnit(call, memory, turn, sums);
      StoreUnit(call, memory, unit, scales, sums, passes);
    });
  }
  SyncCluster();  // what others read or tell here is over
#endif
}

}  // namespace streamed
}  // namespace regatta
