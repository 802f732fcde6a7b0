// What the kernels of peer_all_reduce.h are made of: where things lie in the buffers, pushing,
// waiting for what peers push, and taking turns with the slots.
#pragma once

#include <bit>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/peer_all_reduce.h"

namespace regatta {

constexpr uint32_t kSlots = 3;
// A word of memory that nobody has written: -0.0f, or the bfloat16 or float16 pair (+0, -0).
constexpr uint32_t kUnwritten = 0x80000000u;
constexpr int kMaxPeerBlocks = 128;  // about one per multiprocessor
constexpr uint32_t kLooksPerAbortLook = 256;

// What moves at once. Each word arrives whole; they may arrive one by one.
struct alignas(16) Words {
  uint32_t at[4];
};

template <typename T>
using Elements = Pack<T, sizeof(Words) / sizeof(T)>;

// Counts calls, on the device; one of each algorithm.
struct TurnState {
  uint32_t turn;     // the slot of this call is turn % kSlots
  uint32_t done;     // blocks of this call
  uint32_t written;  // words per part in the call before
  uint32_t unused;
};

// An area of a buffer: kSlots slots of one part per rank, each `part_bytes`.
struct PeerArea {
  size_t offset;
  size_t part_bytes;
};

__host__ __device__ constexpr PeerArea OneShotArea(const PeerGroup& group) {
  return {2 * sizeof(TurnState), group.one_shot_bytes};
}
__host__ __device__ constexpr size_t EndOf(const PeerGroup& group, const PeerArea& area) {
  return area.offset + kSlots * group.size * area.part_bytes;
}
__host__ __device__ constexpr PeerArea ScatterArea(const PeerGroup& group) {
  const size_t bytes = (group.two_shot_bytes / sizeof(Words) + group.size - 1) / group.size;
  return {EndOf(group, OneShotArea(group)), bytes * sizeof(Words)};
}
__host__ __device__ constexpr PeerArea GatherArea(const PeerGroup& group) {
  const PeerArea scatter = ScatterArea(group);
  return {EndOf(group, scatter), scatter.part_bytes};
}
__host__ __device__ constexpr size_t EndOfShots(const PeerGroup& group) {
  return EndOf(group, GatherArea(group));
}

// The part of `source` in the buffer of `owner`.
__device__ inline Words* PartOf(const PeerGroup& group, const PeerArea& area, int owner,
                                uint32_t slot, int source) {
  char* buffer = static_cast<char*>(group.buffers[owner]);
  return reinterpret_cast<Words*>(buffer + area.offset +
                                  (slot * group.size + source) * area.part_bytes);
}

__device__ inline void Push(Words* to, const Words& words) {
  asm volatile(
      "st.relaxed.sys.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
      "r"(words.at[0]), "r"(words.at[1]), "r"(words.at[2]), "r"(words.at[3])
      : "memory");
}

__device__ inline Words LookAt(const Words* from) {
  Words words;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.at[0]), "=r"(words.at[1]), "=r"(words.at[2]), "=r"(words.at[3])
               : "l"(__cvta_generic_to_global(from))
               : "memory");
  return words;
}

__device__ inline bool Arrived(const Words& words) {
  return words.at[0] != kUnwritten && words.at[1] != kUnwritten && words.at[2] != kUnwritten &&
         words.at[3] != kUnwritten;
}

// -0 becomes +0.
template <typename T>
__device__ Words Payload(Words words) {
#pragma unroll
  for (uint32_t& word : words.at) {
    if constexpr (sizeof(T) == 2) {
      word &= ~__vcmpeq2(word, 0x80008000u);
    } else if (word == kUnwritten) {
      word = 0;
    }
  }
  return words;
}

__device__ inline bool Aborted(const PeerGroup& group) {
  return *static_cast<const volatile uint32_t*>(group.abort) != 0;
}

// The sum in rank order, in float32 with one rounding, of what each rank has; fit to be pushed.
template <typename T>
__device__ Elements<T> SumInRankOrder(const PeerGroup& group, const Words (&words)[kMaxPeers]) {
  constexpr int kCount = sizeof(Words) / sizeof(T);
  float sums[kCount] = {};
#pragma unroll
  for (int rank = 0; rank < kMaxPeers; ++rank) {
    if (rank >= group.size) continue;
    const auto values = std::bit_cast<Elements<T>>(words[rank]);
#pragma unroll
    for (int j = 0; j < kCount; ++j) sums[j] += Widen(values.at[j]);
  }
  Elements<T> rounded;
#pragma unroll
  for (int j = 0; j < kCount; ++j) rounded.at[j] = Narrow<T>(sums[j]);
  return std::bit_cast<Elements<T>>(Payload<T>(std::bit_cast<Words>(rounded)));
}

// The sum of what the peers have pushed to `part_of(rank)[i]` and this rank's own.
template <typename T, typename PartOfRank>
__device__ Elements<T> SumArrivals(const PeerGroup& group, const PartOfRank& part_of, int64_t i,
                                   const Words& own) {
  Words words[kMaxPeers];
  bool waiting = true;
  for (uint32_t look = 1; waiting; ++look) {
    waiting = false;
#pragma unroll
    for (int rank = 0; rank < kMaxPeers; ++rank) {
      if (rank < group.size) words[rank] = rank == group.index ? own : LookAt(part_of(rank) + i);
    }
#pragma unroll
    for (int rank = 0; rank < kMaxPeers; ++rank) {
      if (rank < group.size) waiting |= !Arrived(words[rank]);
    }
    if (look % kLooksPerAbortLook == 0 && Aborted(group)) break;
  }
  return SumInRankOrder<T>(group, words);
}

// What one peer has pushed.
__device__ inline Words AwaitWords(const PeerGroup& group, const Words* from) {
  Words words = LookAt(from);
  for (uint32_t look = 1; !Arrived(words); ++look) {
    words = LookAt(from);
    if (look % kLooksPerAbortLook == 0 && Aborted(group)) break;
  }
  return words;
}

// One call's use of the slots. All threads of the grid make one, before anything else.
class Turn {
 public:
  __device__ Turn(const PeerGroup& group, int algorithm)
      : state_(static_cast<TurnState*>(group.buffers[group.index]) + algorithm),
        turn_(state_->turn),
        written_(state_->written) {}

  __device__ uint32_t slot() const { return turn_ % kSlots; }

  // Empties what the call before has read.
  __device__ void EmptyPrevious(const PeerGroup& group, const PeerArea& area) const {
    const Words empty = {{kUnwritten, kUnwritten, kUnwritten, kUnwritten}};
    const uint32_t previous = (turn_ + kSlots - 1) % kSlots;
    for (int source = 0; source < group.size; ++source) {
      if (source == group.index) continue;  // nobody writes there
      Words* part = PartOf(group, area, group.index, previous, source);
      for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < written_;
           i += gridDim.x * blockDim.x) {
        part[i] = empty;
      }
    }
  }

  // The last thing of a kernel; `written` words per part.
  __device__ void Finish(uint32_t written) const {
    __syncthreads();
    if (threadIdx.x != 0 || atomicAdd(&state_->done, 1) != gridDim.x - 1) return;
    state_->done = 0;
    state_->written = written;
    state_->turn = turn_ + 1;
  }

 private:
  TurnState* state_;
  uint32_t turn_;
  uint32_t written_;
};

constexpr int kOneShotTurns = 0;
constexpr int kTwoShotTurns = 1;

}  // namespace regatta
