// The device's side of wide_product.h: tiles of 128 tokens and some rows of the weight. One
// warpgroup asks the copy engine for lines of the depth, two multiply. Blocks of a cluster have
// neighbouring tokens and bring the weight's lines to one another.
#pragma once

#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/tensor_copy.cuh"
#include "kernels/cuda/wide_product.h"

namespace regatta {
namespace wide {

inline constexpr int kTileTokens = 128;
inline constexpr int kMultiplying = 2;  // warpgroups
inline constexpr int kThreads = (1 + kMultiplying) * kWarpgroup;
inline constexpr int kStages = 4;
inline constexpr int kWarpTokens = 16;

struct WideCall {
  CUtensorMap x, weight;  // boxes of kTileTokens rows, of those that a block brings
  WideProduct product;
  int cluster;
  int token_groups;  // of as many tiles of tokens as a cluster has blocks
  int units;         // token_groups times tiles of features
  int steps;         // lines of the depth
};

// A kernel's types and numbers. A tile's rows of the weight are one run, or those of the gate and
// of what it is multiplied with.
template <typename In, typename To, int kTileRows, bool kIsGated>
struct WideTraits {
  using T = In;
  using Out = To;
  static constexpr int kRows = kTileRows;
  static constexpr bool kGated = kIsGated;
  static constexpr int kParts = kGated ? 2 : 1, kPartRows = kRows / kParts;
  // Results leave half a tile's rows at a time, which of gated ones are all.
  static constexpr int kHalf = kRows / 2, kPasses = kGated ? 1 : 2;
  static constexpr int kFeatures = kPasses * kHalf;  // of the output
  static constexpr int kChunk = 16 / static_cast<int>(sizeof(Out));
  // An odd number of chunks: fragments of eight rows meet no bank twice.
  static constexpr int kResultStride = (kHalf / kChunk | 1) * kChunk;
};

// Lines of one step, chunks swizzled.
template <int kRows>
struct WideStage {
  unsigned char tokens[kTileTokens][kCopyLine];
  unsigned char weight[kRows][kCopyLine];
};

// A warp's results on their way out.
template <typename Traits>
struct TileResults {
  alignas(16) typename Traits::Out row[kWarpTokens][Traits::kResultStride];
};

template <typename Traits>
struct WideMemory {
  WideStage<Traits::kRows> stage[kStages];
  TileResults<Traits> results[kMultiplying * kWarpgroup / kWarp];
  PhaseBarrier full[kStages], empty[kStages];

  __device__ void Init(int cluster) {
    for (int i = 0; i < kStages; ++i) {
      full[i].Init(1);
      empty[i].Init(kMultiplying * cluster);
    }
    PublishBarriers();
  }
  // A warpgroup has read the stage of `turn`, which all blocks of the cluster bring a part of.
  __device__ void Empty(int turn, int cluster) {
    const auto rank = static_cast<int>(threadIdx.x % kWarpgroup);
    if (rank < cluster) empty[turn % kStages].ArriveAt(rank);
  }
};

// Calls act(first token, first feature of the output) for each of the block's tiles.
template <typename Traits, typename Act>
__device__ void ForTiles(const WideCall& call, const Act& act) {
  const auto block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  const int rank = block % call.cluster;
  for (int unit = block / call.cluster; unit < call.units; unit += blocks / call.cluster) {
    const int tile = unit % call.token_groups * call.cluster + rank;
    act(tile * kTileTokens, unit / call.token_groups * Traits::kFeatures);
  }
}

// Brings the lines of all tiles, as stages become free; one thread. The weight's first lines are on
// their way before the kernel in front has ended.
template <typename Traits>
__device__ void BringTiles(const WideCall& call, WideMemory<Traits>& memory) {
  const int rows = Traits::kPartRows / call.cluster;
  const int own = static_cast<int>(blockIdx.x) % call.cluster * rows;
  const auto features = static_cast<int>(call.product.out.values.shape[1]);
  const auto all_blocks = static_cast<uint16_t>((1 << call.cluster) - 1);
  const auto bring_weight = [&](int turn, int step, int feature) {
    auto& stage = memory.stage[turn % kStages];
    PhaseBarrier& full = memory.full[turn % kStages];
    full.ArriveExpecting(sizeof(stage));
    for (int part = 0; part < Traits::kParts; ++part) {
      void* to = stage.weight[part * Traits::kPartRows + own];
      const int row = part * features + feature + own;
      if (call.cluster > 1) {
        CopyTileToBlocks(to, call.weight, step * kCopyLine, row, full, all_blocks);
      } else {
        CopyTile(to, call.weight, step * kCopyLine, row, full);
      }
    }
  };
  const auto for_turns = [&](int end, const auto& act) {
    int turn = 0;
    ForTiles<Traits>(call, [&](int token, int feature) {
      for (int step = 0; step < call.steps && turn < end; ++step, ++turn) {
        act(turn, step, token, feature);
      }
    });
  };
  for_turns(kStages,
            [&](int turn, int step, int, int feature) { bring_weight(turn, step, feature); });
  AwaitPrevious();
  for_turns(INT_MAX, [&](int turn, int step, int token, int feature) {
    if (turn >= kStages) {
      memory.empty[turn % kStages].Await(turn / kStages - 1);
      bring_weight(turn, step, feature);
    }
    CopyTile(memory.stage[turn % kStages].tokens, call.x, step * kCopyLine, token,
             memory.full[turn % kStages]);
  });
}

// Fragments of a warpgroup's 64 tokens and 8 rows of the weight each.
template <typename Traits>
using WideSums = float[Traits::kRows / 8][4];

// The sums of a tile; returns the next turn.
template <typename Traits>
__device__ int MultiplyTile(const WideCall& call, WideMemory<Traits>& memory, int turn,
                            WideSums<Traits>& sums) {
  constexpr int kProductDepth = 32;  // bytes of the depth that one product takes
  const int first_row = static_cast<int>(threadIdx.x / kWarpgroup - 1) * (kTileTokens / 2);
  for (int step = 0; step < call.steps; ++step, ++turn) {
    const auto& stage = memory.stage[turn % kStages];
    memory.full[turn % kStages].Await(turn / kStages);
    const uint64_t tokens = SwizzledMatrix(stage.tokens[first_row], 0);
    const uint64_t weight = SwizzledMatrix(stage.weight, 0);
    BeginProducts();
#pragma unroll
    for (int byte = 0; byte < kCopyLine; byte += kProductDepth) {
      BeginMultiply<typename Traits::T>(sums, Further(tokens, byte), Further(weight, byte),
                                        step + byte > 0);
    }
    CommitProducts();
    WaitProducts<1>();
    if (step > 0) memory.Empty(turn - 1, call.cluster);
  }
  WaitProducts<0>();
  Pin(sums);
  memory.Empty(turn - 1, call.cluster);
  return turn;
}

// Sums of a weight whose features have scales of their own become those of one without.
template <typename Traits>
__device__ void ScaleFeatures(const WideProduct& product, int feature, WideSums<Traits>& sums) {
  const auto width = static_cast<int>(product.out.values.shape[1]);
  const int first = feature + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int n = 0; n < Traits::kRows / 8; ++n) {
    const int row = n * 8, part = row / Traits::kPartRows;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int at = min(first + row % Traits::kPartRows + j, width - 1) + part * width;
      const float scale = product.scales.At(product.weight.data, at, 0);
      sums[n][j] *= scale;
      sums[n][j + 2] *= scale;
    }
  }
}

// Writes a warp's 16 tokens of a tile, whole lines at a time.
template <typename Traits>
__device__ void StoreTile(const WideProduct& product, const CommonScales& common, int token,
                          int feature, WideSums<Traits>& sums, TileResults<Traits>& results) {
  using Out = typename Traits::Out;
  constexpr int kBlocks = Traits::kHalf / 8, kChunk = Traits::kChunk;
  const Tensor& out = product.out.values;
  const auto width = static_cast<int>(out.shape[1]), tokens = static_cast<int>(out.shape[0]);
  const auto lane = static_cast<int>(threadIdx.x) % kWarp;
  if (product.scales.features_shared == 1) ScaleFeatures<Traits>(product, feature, sums);
  const auto of_token = [&](int at) {
    const Tensor& scales = product.x.scale;
    if (scales.data == nullptr || scales.rank == 1) return common.sum;
    return common.sum * static_cast<const float*>(scales.data)[at];
  };
#pragma unroll
  for (int pass = 0; pass < Traits::kPasses; ++pass) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + half * 8;
      const float by = of_token(min(token + row, tokens - 1));
#pragma unroll
      for (int n = 0; n < kBlocks; ++n) {
        const float* sum = &sums[n + pass * kBlocks][half * 2];
        float2 values;
        if constexpr (Traits::kGated) {
          values = GatedPair(sum, &sums[n + kBlocks][half * 2], by, by * common.result);
        } else {
          values = {sum[0] * by, sum[1] * by};
        }
        Pack<Out, 2> pair;
        pair.at[0] = Narrow<Out>(values.x);
        pair.at[1] = Narrow<Out>(values.y);
        *reinterpret_cast<Pack<Out, 2>*>(&results.row[row][n * 8 + lane % 4 * 2]) = pair;
      }
    }
    __syncwarp();
    constexpr int kChunks = Traits::kHalf / kChunk;  // of a row
#pragma unroll
    for (int i = lane; i < kWarpTokens * kChunks; i += kWarp) {
      const int row = i / kChunks, column = i % kChunks * kChunk;
      const int to = feature + pass * Traits::kHalf + column;
      if (token + row >= tokens || to >= width) continue;
      *reinterpret_cast<uint4*>(static_cast<Out*>(out.data) + (token + row) * out.row_stride + to) =
          *reinterpret_cast<const uint4*>(&results.row[row][column]);
    }
    __syncwarp();
  }
}

template <typename Traits>
__global__ void __launch_bounds__(kThreads, 1) WideKernel(const __grid_constant__ WideCall call) {
#if defined(REGATTA_HAS_WARPGROUPS)
  // Of each thread: the 168 that a launch gives to all, shared out anew.
  constexpr int kBringingRegisters = 40, kMultiplyingRegisters = 232;
  extern __shared__ __align__(1024) unsigned char wide_memory[];
  auto& memory = *reinterpret_cast<WideMemory<Traits>*>(wide_memory);
  if (threadIdx.x == 0) {
    PrefetchMap(call.x);
    PrefetchMap(call.weight);
    memory.Init(call.cluster);
  }
  LetNextBegin();
  SyncCluster();
  const auto warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup;
  if (warpgroup == 0) {
    GiveRegisters<kBringingRegisters>();
    if (threadIdx.x == 0) BringTiles(call, memory);
    __syncwarp();
  } else {
    TakeRegisters<kMultiplyingRegisters>();
    const WideProduct& product = call.product;
    const CommonScales common(product.x, product.weight, product.scales, product.out.scale.data);
    AwaitPrevious();
    const auto warp = static_cast<int>(threadIdx.x - kWarpgroup) / kWarp;
    WideSums<Traits> sums;
    int turn = 0;
    ForTiles<Traits>(call, [&](int token, int feature) {
      turn = MultiplyTile(call, memory, turn, sums);
      StoreTile(product, common, token + warp * kWarpTokens, feature, sums, memory.results[warp]);
    });
  }
  SyncCluster();  // what others bring here, or tell, is over
#endif
}

}  // namespace wide
}  // namespace regatta
