// One row of logits under one block: the logits a draw is made from, and searches over them that
// need neither sorting nor floating-point sums whose order could vary. Weights are summed as
// integers of 2^-40, so every sum is exact.
#pragma once

#include "kernels/cuda/element.cuh"

namespace regatta {

inline constexpr int kSampleThreads = 1024;
inline constexpr int kSampleWarps = kSampleThreads / kWarp;
inline constexpr int kPivots = 7;  // a search narrows its range eight times per pass

// Integers whose order is the order of the floats.
__device__ inline uint32_t OrderOf(float x) {
  const uint32_t bits = __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// A token and its logit; tokens are ranked by falling logit, then rising id.
struct Ranked {
  float logit;
  int id;
};
__device__ inline bool Before(const Ranked& a, const Ranked& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The first-ranked of all threads' candidates, in every thread.
__device__ inline Ranked BlockFirst(Ranked own) {
  __shared__ Ranked firsts[kSampleWarps];
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Ranked other{__shfl_xor_sync(kAllLanes, own.logit, offset),
                       __shfl_xor_sync(kAllLanes, own.id, offset)};
    if (Before(other, own)) own = other;
  }
  __syncthreads();
  if (threadIdx.x % kWarp == 0) firsts[threadIdx.x / kWarp] = own;
  __syncthreads();
  for (int w = 0; w < kSampleWarps; ++w) {
    if (Before(firsts[w], own)) own = firsts[w];
  }
  __syncthreads();
  return own;
}

// A row as the model gave it; NaN is as impossible as -infinity.
struct PlainRow {
  const float* logits;

  __device__ float Adjust(int, float raw) const { return raw == raw ? raw : -INFINITY; }
  __device__ float operator()(int i) const { return Adjust(i, logits[i]); }
};

// Calls fn(id, logit) for this thread's share of a row. Logits are read several at a time, before
// any is looked at: a search is bound by the latency of memory otherwise.
template <typename Row, typename Fn>
__device__ void ForEachToken(const Row& row, int vocab, const Fn& fn) {
  constexpr int kBatch = 8;
  for (int first = threadIdx.x; first < vocab; first += kSampleThreads * kBatch) {
    float values[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; ++j) {
      values[j] = row.logits[min(first + j * kSampleThreads, vocab - 1)];
    }
#pragma unroll
    for (int j = 0; j < kBatch; ++j) {
      const int i = first + j * kSampleThreads;
      if (i < vocab) fn(i, row.Adjust(i, values[j]));
    }
  }
}

// The first-ranked token that ranks after `last`; id `vocab` when there is none.
template <typename Logit>
__device__ Ranked NextRanked(const Logit& logit, int vocab, const Ranked& last) {
  Ranked best{-INFINITY, vocab};
  ForEachToken(logit, vocab, [&](int i, float value) {
    const Ranked own{value, i};
    if (Before(last, own) && Before(own, best)) best = own;
  });
  return BlockFirst(best);
}

// Log of the sum of exponentials of a row whose largest value is `max`.
__device__ inline float LogSumExp(const PlainRow& row, int vocab, float max) {
  float sum = 0;
  ForEachToken(row, vocab, [&](int, float logit) { sum += expf(logit - max); });
  return max + static_cast<float>(log(BlockSum(static_cast<double>(sum))));
}

__device__ inline Ranked MostLikely(const PlainRow& row, int vocab) {
  return NextRanked(row, vocab, {INFINITY, -1});
}

// What a search found: tokens of order above `order` are kept, and of those at it, by id, as many
// as make up `need - above`.
struct Threshold {
  uint32_t order;
  uint64_t above;  // the measure of all tokens above `order`
};

// Where a search looks first; rising.
struct Pivots {
  uint32_t at[kPivots];

  // Evenly spaced in [low, high).
  __device__ static Pivots Between(uint32_t low, uint32_t high) {
    Pivots pivots;
#pragma unroll
    for (int j = 0; j < kPivots; ++j) {
      pivots.at[j] = low + static_cast<uint32_t>(uint64_t{high - low} * (j + 1) / (kPivots + 1));
    }
    return pivots;
  }
};

// The largest order in [low, high) such that measure(id, logit), summed over all tokens at or above
// it, is at least `need`; `low` itself must satisfy that, and nothing may lie at `high` or above.
// `pivots` only decide how fast it is found.
template <typename Logit, typename Measure>
__device__ Threshold FindThreshold(const Logit& logit, const Measure& measure, int vocab,
                                   uint64_t need, uint32_t low, uint32_t high, Pivots pivots) {
  __shared__ uint64_t partial[kSampleWarps][kPivots];
  uint64_t above = 0;  // the measure of everything at `high` or above
  while (high - low > 1) {
#pragma unroll
    for (int j = 0; j < kPivots; ++j) pivots.at[j] = min(max(pivots.at[j], low), high);
    uint64_t sum[kPivots] = {};
    ForEachToken(logit, vocab, [&](int i, float value) {
      const uint32_t order = OrderOf(value);
      if (order < pivots.at[0] || order >= high) return;
      const uint64_t own = measure(i, value);
#pragma unroll
      for (int j = 0; j < kPivots; ++j) sum[j] += order >= pivots.at[j] ? own : 0;
    });
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kPivots; ++j) {
      const uint64_t warp_sum = WarpSum(sum[j]);
      if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp][j] = warp_sum;
    }
    __syncthreads();
    uint32_t new_low = low, new_high = high;
    uint64_t new_above = above;
#pragma unroll
    for (int j = 0; j < kPivots; ++j) {
      const uint64_t total = above + WarpSum(partial[threadIdx.x % kWarp][j]);
      if (total >= need) {
        new_low = pivots.at[j];
      } else if (pivots.at[j] < new_high) {
        new_high = pivots.at[j];
        new_above = total;
      }
    }
    low = new_low;
    high = new_high;
    above = new_above;
    pivots = Pivots::Between(low, high);
  }
  __syncthreads();
  return {low, above};
}

// The first id, in rising order, at which the running sum of measure(id, logit) exceeds `target`;
// -1 when it never does. Each pass leaves one warp's share of the range.
template <typename Logit, typename Measure>
__device__ int FindInOrder(const Logit& logit, const Measure& measure, int vocab, uint64_t target) {
  __shared__ uint64_t sums[kSampleWarps];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int begin = 0, end = vocab;
  while (true) {
    const int share = (end - begin + kSampleThreads - 1) / kSampleThreads * kWarp;
    const int own_begin = min(begin + warp * share, end), own_end = min(own_begin + share, end);
    uint64_t own = 0;
#pragma unroll 8
    for (int i = own_begin + lane; i < own_end; i += kWarp) own += measure(i, logit(i));
    own = WarpSum(own);
    __syncthreads();
    if (lane == 0) sums[warp] = own;
    __syncthreads();
    int next = 0;
    while (next < kSampleWarps && sums[next] <= target) target -= sums[next++];
    if (next == kSampleWarps) return -1;
    begin = min(begin + next * share, end);
    end = min(begin + share, end);
    if (end - begin <= kWarp) break;
  }
  const int i = begin + lane;  // every warp does the same
  uint64_t running = i < end ? measure(i, logit(i)) : 0;
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const uint64_t left = __shfl_up_sync(kAllLanes, running, offset);
    if (lane >= offset) running += left;
  }
  return begin + __ffs(static_cast<int>(__ballot_sync(kAllLanes, running > target))) - 1;
}

}  // namespace regatta
