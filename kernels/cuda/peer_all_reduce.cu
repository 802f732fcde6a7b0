// All-reduce in one shot and in two; see peer_all_reduce.h.
#include <algorithm>

#include "kernels/cuda/peer_all_reduce.h"
#include "kernels/cuda/peer_beside.h"
#include "kernels/cuda/peer_exchange.cuh"

namespace regatta {
namespace {

// Blocks of as few threads as fill the device: what is small is not one multiprocessor's alone.
constexpr int kFewThreads = 128, kManyThreads = 512;

struct Grid {
  unsigned blocks;
  unsigned threads;
};

Grid GridFor(int64_t words) {
  const int threads = words > kMaxPeerBlocks * kFewThreads ? kManyThreads : kFewThreads;
  const int blocks = std::clamp(CeilDiv(words, threads), 1, kMaxPeerBlocks);
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(threads)};
}

// A block waits for blocks of the same number alone, which push before they wait: no order in which
// blocks come to run can stop it.
template <typename T>
__global__ void __launch_bounds__(kManyThreads)
    OneShotKernel(const __grid_constant__ PeerGroup group, Words* x, uint32_t words) {
  const PeerArea area = OneShotArea(group);
  const Turn turn(group, kOneShotTurns);
  const uint32_t slot = turn.slot();
  const uint32_t first = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t step = gridDim.x * blockDim.x;
  for (uint32_t i = first; i < words; i += step) {
    const Words own = Payload<T>(x[i]);
    for (int k = 1; k < group.size; ++k) {  // each rank begins with another peer
      const int peer = (group.index + k) % group.size;
      Push(PartOf(group, area, peer, slot, group.index) + i, own);
    }
  }
  turn.EmptyPrevious(group, area);
  const auto part_of = [&](int rank) { return PartOf(group, area, group.index, slot, rank); };
  for (uint32_t i = first; i < words; i += step) {
    const Elements<T> sum = SumArrivals<T>(group, part_of, i, Payload<T>(x[i]));
    x[i] = std::bit_cast<Words>(sum);
  }
  turn.Finish(words);
}

// Rank r sums words [r * part, (r + 1) * part). A thread deals with the same place of every part.
template <typename T>
__global__ void __launch_bounds__(kManyThreads)
    TwoShotKernel(const __grid_constant__ PeerGroup group, Words* x, uint32_t words,
                  uint32_t part) {
  const PeerArea scatter = ScatterArea(group), gather = GatherArea(group);
  const Turn turn(group, kTwoShotTurns);
  const uint32_t slot = turn.slot();
  const uint32_t first = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t step = gridDim.x * blockDim.x;
  const auto place = [&](int rank, uint32_t i) { return rank * part + i; };
  for (uint32_t i = first; i < part; i += step) {
    for (int k = 1; k < group.size; ++k) {
      const int peer = (group.index + k) % group.size;
      if (place(peer, i) >= words) continue;
      Push(PartOf(group, scatter, peer, slot, group.index) + i, Payload<T>(x[place(peer, i)]));
    }
  }
  turn.EmptyPrevious(group, scatter);
  turn.EmptyPrevious(group, gather);
  const auto part_of = [&](int rank) { return PartOf(group, scatter, group.index, slot, rank); };
  for (uint32_t i = first; i < part && place(group.index, i) < words; i += step) {
    Words& mine = x[place(group.index, i)];
    const Elements<T> sum = SumArrivals<T>(group, part_of, i, Payload<T>(mine));
    mine = std::bit_cast<Words>(sum);
    for (int k = 1; k < group.size; ++k) {
      const int peer = (group.index + k) % group.size;
      Push(PartOf(group, gather, peer, slot, group.index) + i, mine);
    }
  }
  for (uint32_t i = first; i < part; i += step) {
    for (int k = 1; k < group.size; ++k) {
      const int peer = (group.index + k) % group.size;
      if (place(peer, i) >= words) continue;
      x[place(peer, i)] = AwaitWords(group, PartOf(group, gather, group.index, slot, peer) + i);
    }
  }
  turn.Finish(part);
}

__global__ void EmptyKernel(Words* words, size_t count) {
  const Words empty = {{kUnwritten, kUnwritten, kUnwritten, kUnwritten}};
  for (size_t i = size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += size_t{gridDim.x} * blockDim.x) {
    words[i] = empty;
  }
}

// x += the peers' x, of no more words than the buffers take.
template <typename T>
void SumWords(const PeerGroup& group, Words* x, uint32_t words, cudaStream_t stream) {
  if (words * sizeof(Words) <= group.one_shot_bytes) {
    const Grid grid = GridFor(words);
    OneShotKernel<T><<<grid.blocks, grid.threads, 0, stream>>>(group, x, words);
  } else {
    const auto part = static_cast<uint32_t>(CeilDiv(words, group.size));
    const Grid grid = GridFor(part);
    TwoShotKernel<T><<<grid.blocks, grid.threads, 0, stream>>>(group, x, words, part);
  }
}

}  // namespace

size_t PeerBufferBytes(const PeerGroup& group) {
  return EndOfShots(group) + PeerBesideBytes(group);
}

void PreparePeerBuffer(const PeerGroup& group, cudaStream_t stream) {
  CHECK(group.size >= 2 && group.size <= kMaxPeers);
  CHECK(group.index >= 0 && group.index < group.size && group.abort != nullptr);
  CHECK_EQ(group.one_shot_bytes % sizeof(Words), size_t{0});
  CHECK_EQ(group.two_shot_bytes % sizeof(Words), size_t{0});
  const size_t head = OneShotArea(group).offset;
  char* const buffer = static_cast<char*>(group.buffers[group.index]);
  cudaMemsetAsync(buffer, 0, head, stream);
  EmptyKernel<<<kMaxPeerBlocks, kManyThreads, 0, stream>>>(
      reinterpret_cast<Words*>(buffer + head), (EndOfShots(group) - head) / sizeof(Words));
  PreparePeerBeside(group, stream);
}

bool PeersCanSum(const Tensor& x) {
  const bool activation =
      x.dtype == DType::kFloat32 || x.dtype == DType::kBFloat16 || x.dtype == DType::kFloat16;
  return activation && x.dense() && x.num_bytes() % sizeof(Words) == 0 &&
         reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
}

void PeerAllReduce(const PeerGroup& group, const Tensor& x, cudaStream_t stream) {
  CHECK(PeersCanSum(x)) << x.num_bytes() << " bytes of " << DTypeName(x.dtype);
  const size_t all = x.num_bytes() / sizeof(Words);
  const size_t most = std::max(group.one_shot_bytes, group.two_shot_bytes) / sizeof(Words);
  DispatchDevice(x.dtype, [&](auto zero) {
    for (size_t first = 0; first < all; first += most) {
      SumWords<decltype(zero)>(group, x.as<Words>() + first,
                               static_cast<uint32_t>(std::min(most, all - first)), stream);
    }
  });
}

}  // namespace regatta
