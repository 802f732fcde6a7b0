// Parts of the kernel of skinny_stream.cu: the ring of weights, the tokens, and how the sums of a
// cluster's blocks become results.
#pragma once

#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/gate.cuh"
#include "kernels/cuda/skinny_product.h"
#include "kernels/cuda/tensor_copy.cuh"
#include "kernels/cuda/warpgroup.cuh"

namespace regatta {

namespace stream {

inline constexpr int kUnitRows = 64;   // features of a unit: rows of one warpgroup's product
inline constexpr int kBoxRows = 32;    // of one copy; a gated unit has 32 gates and what they are for
inline constexpr int kWeightTile = kUnitRows * kCopyLine;
inline constexpr int kMostStages = 16;
inline constexpr int kTokenParts = 16;  // that are awaited one by one
inline constexpr int kMultiplying = 2;  // warpgroups, each of which takes a line of every stage
inline constexpr int kStageBytes = kMultiplying * kWeightTile;
inline constexpr int kSumStride = kUnitRows + 4;  // padded against bank conflicts
inline constexpr int kQuad = 4;                   // features of a thread's result
// The warpgroup that makes results, and the warp whose first thread fills the ring.
inline constexpr int kFinishing = kMultiplying;
inline constexpr int kProducing = (kMultiplying + 1) * kWarpgroup;
inline constexpr int kThreads = kProducing + kWarp;

struct StreamCall {
  CUtensorMap weight, tokens;
  SkinnyProduct product;
  int cluster, num_units;
  int stages;  // of the ring
  int steps;   // stages of a block's part of a unit's depth
};

// Behind the tokens and the ring.
template <int kTokens>
struct BlockState {
  float sums[kMultiplying][kTokens][kSumStride];  // of a unit, read by the cluster
  PhaseBarrier full[kMostStages], empty[kMostStages], tokens[kTokenParts];
  PhaseBarrier summed, taken;  // of the sums of all blocks of the cluster
};

// A stage of a ring, and how often all of them have been gone through.
struct RingPlace {
  int stage = 0, round = 0;

  __device__ void Advance(int stages) {
    if (++stage < stages) return;
    stage = 0;
    ++round;
  }
};

// A block's share of the work, and its memory.
template <int kTokens>
struct Block {
  static constexpr int kTokenTile = kTokens * kCopyLine;
  static constexpr int kTokenBytes = kMultiplying * kTokenTile;  // of a step
  int cluster, num_units, stages, steps;  // of the call
  int rank, first_unit, clusters;
  int part_shift = 0;  // a part of the tokens is 1 << part_shift steps
  char *tokens, *ring;
  BlockState<kTokens>& state;

  __device__ Block(const StreamCall& call, unsigned char* memory)
      : cluster(call.cluster),
        num_units(call.num_units),
        stages(call.stages),
        steps(call.steps),
        rank(static_cast<int>(blockIdx.x) % call.cluster),
        first_unit(static_cast<int>(blockIdx.x) / call.cluster),
        clusters(static_cast<int>(gridDim.x) / call.cluster),
        tokens(reinterpret_cast<char*>(memory)),
        ring(tokens + call.steps * kTokenBytes),
        state(*reinterpret_cast<BlockState<kTokens>*>(ring + call.stages * kStageBytes)) {
    while ((steps - 1) >> part_shift >= kTokenParts) ++part_shift;
  }
  __device__ int first_line() const { return rank * steps * kMultiplying; }
  __device__ int num_items() const {
    return (num_units - first_unit + clusters - 1) / clusters * steps;
  }
};

// What one thread of a block does: it keeps the ring full.
template <int kTokens>
struct Producer {
  const StreamCall& call;
  Block<kTokens>& block;
  int unit_rows = call.product.gated ? kBoxRows : kUnitRows;
  uint64_t policy = ReadOncePolicy();
  int unit = block.first_unit, step = 0, left = block.num_items();
  RingPlace place;

  __device__ void Init() {
    PrefetchMap(call.weight);
    PrefetchMap(call.tokens);
    auto& state = block.state;
    for (int i = 0; i < block.stages; ++i) {
      state.full[i].Init(1);
      state.empty[i].Init(kMultiplying * kWarpgroup / kWarp);
    }
    for (auto& part : state.tokens) part.Init(1);
    state.summed.Init(block.cluster * kMultiplying);
    state.taken.Init(block.cluster);
    PublishBarriers();
  }
  __device__ void CopyWeights() {
    PhaseBarrier& full = block.state.full[place.stage];
    full.ArriveExpecting(kStageBytes);
    CopyTile(block.ring + place.stage * kStageBytes, call.weight,
             block.first_line() + step * kMultiplying, unit * unit_rows, full, policy);
    place.Advance(block.stages);
    --left;
    if (++step < block.steps) return;
    step = 0;
    unit += block.clusters;
  }
  __device__ void FillRing() {
    while (left > 0 && place.round == 0) CopyWeights();
  }
  __device__ void CopyTokens() {
    constexpr int kBytes = Block<kTokens>::kTokenBytes;
    const int steps = 1 << block.part_shift;
    const uint64_t often = ReadOftenPolicy();
    for (int step = 0; step < block.steps; ++step) {
      PhaseBarrier& part = block.state.tokens[step >> block.part_shift];
      if (step % steps == 0) part.ArriveExpecting(min(steps, block.steps - step) * kBytes);
      CopyTile(block.tokens + step * kBytes, call.tokens,
               block.first_line() + step * kMultiplying, 0, part, often);
    }
  }
  __device__ void KeepRingFull() {
    while (left > 0) {
      block.state.empty[place.stage].Await(place.round - 1);
      CopyWeights();
    }
  }
};

// What sums of four neighbouring features stand for.
struct Meaning {
  float scale[kQuad] = {1, 1, 1, 1}, bias[kQuad] = {};

  __device__ void Load(const SkinnyProduct& product, int feature) {
    const int features = static_cast<int>(product.weight.shape[0]);
    const bool quantized = product.x.scale.data != nullptr, by_token = product.x.scale.rank > 1;
    const float x =
        quantized && !by_token ? *static_cast<const float*>(product.x.scale.data) : 1.0f;
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
      if (feature + i >= features) break;
      if (quantized) scale[i] = x * product.scales.At(product.weight.data, feature + i, 0);
      if (product.bias.data != nullptr) {
        bias[i] = LoadElement(product.bias.data, product.bias.dtype, feature + i);
      }
    }
  }
};

// Four neighbouring sums of some tokens, `stride` apart, over the warpgroups of all blocks in order.
template <int kTokens, int kCount>
__device__ void ClusterSums(const Block<kTokens>& block, int token, int stride, int row,
                            float (&sums)[kCount][kQuad]) {
  for (int rank = 0; rank < block.cluster; ++rank) {
    float4 part[kCount][kMultiplying];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int w = 0; w < kMultiplying; ++w) {
        part[i][w] =
            LoadFourOfBlock(&block.state.sums[w][min(token + i * stride, kTokens - 1)][row], rank);
      }
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int w = 0; w < kMultiplying; ++w) {
        sums[i][0] += part[i][w].x;
        sums[i][1] += part[i][w].y;
        sums[i][2] += part[i][w].z;
        sums[i][3] += part[i][w].w;
      }
    }
  }
}

// Stores four neighbouring results of a token, fewer at the end of its features.
template <typename T>
__device__ void StoreQuad(T* to, int count, const float (&value)[kQuad]) {
  if (count >= kQuad && reinterpret_cast<uintptr_t>(to) % sizeof(Pack<T, kQuad>) == 0) {
    Pack<T, kQuad> pack;
#pragma unroll
    for (int i = 0; i < kQuad; ++i) pack.at[i] = Narrow<T>(value[i]);
    *reinterpret_cast<Pack<T, kQuad>*>(to) = pack;
    return;
  }
  for (int i = 0; i < kQuad && i < count; ++i) to[i] = Narrow<T>(value[i]);
}

// Once the whole warpgroup has come here, tells all blocks of the cluster so.
__device__ inline void TellCluster(int warpgroup, int cluster, PhaseBarrier& barrier) {
  SyncWarpgroup(warpgroup);
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
  if (thread < cluster) barrier.ArriveAt(thread);
}

// Puts a warpgroup's sums of a unit where the cluster finds them.
template <int kTokens>
__device__ void KeepSums(Block<kTokens>& block, int warpgroup,
                         const float (&sums)[kTokens / 8][4]) {
  auto& own = block.state.sums[warpgroup];
  const int lane = threadIdx.x % kWarp;
  const int row = static_cast<int>(threadIdx.x) % kWarpgroup / kWarp * 16 + lane / 4;
#pragma unroll
  for (int n = 0; n < kTokens / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) own[n * 8 + lane % 4 * 2 + i % 2][row + i / 2 * 8] = sums[n][i];
  }
  TellCluster(warpgroup, block.cluster, block.state.summed);
}

// Makes the results of units; every thread four neighbouring features of some tokens, which the
// blocks of a cluster deal out among themselves.
template <typename T, int kTokens>
struct Finisher {
  static constexpr int kAtOnce = kTokens >= 32 ? 4 : kTokens / 8;  // tokens
  const Block<kTokens>& block;
  const SkinnyProduct& product;
  const float* token_scales;
  T* out;
  int64_t row_stride;
  float out_scale = 1;
  bool gated;
  int features, num_tokens;
  int row, first_token, stride;

  __device__ Finisher(const Block<kTokens>& block, const SkinnyProduct& product)
      : block(block),
        product(product),
        token_scales(product.x.scale.rank > 1 ? static_cast<const float*>(product.x.scale.data)
                                              : nullptr),
        out(static_cast<T*>(product.out.data)),
        row_stride(product.out.row_stride),
        gated(product.gated),
        features(static_cast<int>(product.out.shape[1])),
        num_tokens(static_cast<int>(product.out.shape[0])) {
    const int thread = static_cast<int>(threadIdx.x) % kWarpgroup, quads_log2 = gated ? 3 : 4;
    row = (thread & ((1 << quads_log2) - 1)) * kQuad;
    first_token = ((block.rank * kWarpgroup + thread) >> quads_log2);
    stride = block.cluster * kWarpgroup >> quads_log2;
    if (product.out_scale != nullptr) out_scale = 1.0f / *product.out_scale;
  }

  // `ready` returns when the cluster has the unit's sums.
  template <typename Ready>
  __device__ void Finish(int unit, const Ready& ready) {
    const int feature = unit * (gated ? kUnitRows / 2 : kUnitRows) + row;
    Meaning own, up;
    own.Load(product, feature);
    if (gated) up.Load(product, feature + features);
    ready();
    if (feature >= features) return;
    for (int token = first_token; token < num_tokens; token += kAtOnce * stride) {
      float values[kAtOnce][kQuad] = {};
      ClusterSums(block, token, stride, row, values);
      Mean(own, token, values);
      if (gated) {
        float ups[kAtOnce][kQuad] = {};
        ClusterSums(block, token, stride, row + kUnitRows / 2, ups);
        Mean(up, token, ups);
#pragma unroll
        for (int i = 0; i < kAtOnce * kQuad; ++i) {
          float& value = values[i / kQuad][i % kQuad];
          value = Gated<T>(value, ups[i / kQuad][i % kQuad]);
        }
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (token + i * stride >= num_tokens) break;
#pragma unroll
        for (int j = 0; j < kQuad; ++j) values[i][j] *= out_scale;
        StoreQuad(out + (token + i * stride) * row_stride + feature, features - feature, values[i]);
      }
    }
  }

  __device__ void Mean(const Meaning& meaning, int token, float (&values)[kAtOnce][kQuad]) const {
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int place = min(token + i * stride, num_tokens - 1);
      const float by = token_scales != nullptr ? token_scales[place] : 1.0f;
#pragma unroll
      for (int j = 0; j < kQuad; ++j) {
        values[i][j] = values[i][j] * (meaning.scale[j] * by) + meaning.bias[j];
      }
    }
  }
};

}  // namespace stream
}  // namespace regatta
