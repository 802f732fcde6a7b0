// Copies to peers, flags behind them, and the sum; see peer_beside.h.
#include <algorithm>

#include "kernels/cuda/peer_beside.h"
#include "kernels/cuda/peer_exchange.cuh"

namespace regatta {
namespace {

constexpr int kThreads = 512;
constexpr int kMostBlocks = 264;  // two per multiprocessor
// Values of flags: a copy engine writes what it reads, so they lie in memory beforehand. 0 = none.
constexpr uint32_t kNumbers = 4096;
constexpr size_t kAlignment = 256;

// Of a buffer, behind EndOfShots: numbers, flags by slot and source, parts by slot and peer.
struct BesideArea {
  size_t numbers, flags, parts;
};

__host__ __device__ constexpr BesideArea AreaOf(const PeerGroup& group) {
  const size_t numbers = (EndOfShots(group) + kAlignment - 1) / kAlignment * kAlignment;
  const size_t flags = numbers + kNumbers * sizeof(uint32_t);
  const size_t bytes = kBesideSlots * kMaxPeers * sizeof(uint32_t);
  return {numbers, flags, (flags + bytes + kAlignment - 1) / kAlignment * kAlignment};
}

__host__ __device__ uint32_t FlagValue(uint32_t number) { return number % (kNumbers - 1) + 1; }

__host__ __device__ uint32_t* FlagOf(const PeerGroup& group, int owner, uint32_t number,
                                     int source) {
  char* const flags = static_cast<char*>(group.buffers[owner]) + AreaOf(group).flags;
  return reinterpret_cast<uint32_t*>(flags) + number % kBesideSlots * kMaxPeers + source;
}

__host__ __device__ Words* BesidePart(const PeerGroup& group, int owner, uint32_t number,
                                      int source) {
  char* const parts = static_cast<char*>(group.buffers[owner]) + AreaOf(group).parts;
  const int peer = source < owner ? source : source - 1;  // of the owner
  const size_t index = size_t{number % kBesideSlots} * (group.size - 1) + peer;
  return reinterpret_cast<Words*>(parts + index * group.beside_bytes);
}

__global__ void NumberKernel(uint32_t* numbers) {
  for (uint32_t i = threadIdx.x; i < kNumbers; i += blockDim.x) numbers[i] = i;
}

__device__ uint32_t LookAtFlag(const uint32_t* flag) {
  uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];"
               : "=r"(value)
               : "l"(__cvta_generic_to_global(flag))
               : "memory");
  return value;
}

__device__ void AwaitFlag(const PeerGroup& group, const uint32_t* flag, uint32_t value) {
  for (uint32_t look = 1; LookAtFlag(flag) != value; ++look) {
    if (look % kLooksPerAbortLook == 0 && Aborted(group)) return;
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    AddPushedKernel(const __grid_constant__ PeerGroup group, Words* x, size_t words,
                    uint32_t number) {
  if (threadIdx.x < group.size && threadIdx.x != group.index) {
    AwaitFlag(group, FlagOf(group, group.index, number, threadIdx.x), FlagValue(number));
  }
  __syncthreads();
  for (size_t i = size_t{blockIdx.x} * kThreads + threadIdx.x; i < words;
       i += size_t{gridDim.x} * kThreads) {
    Words parts[kMaxPeers];
#pragma unroll
    for (int rank = 0; rank < kMaxPeers; ++rank) {
      if (rank >= group.size) continue;
      const Words part =
          rank == group.index ? x[i] : LookAt(BesidePart(group, group.index, number, rank) + i);
      parts[rank] = Payload<T>(part);
    }
    x[i] = std::bit_cast<Words>(SumInRankOrder<T>(group, parts));
  }
}

}  // namespace

size_t PeerBesideBytes(const PeerGroup& group) {
  if (group.beside_bytes == 0) return 0;
  const size_t parts = size_t{kBesideSlots} * (group.size - 1) * group.beside_bytes;
  return AreaOf(group).parts - EndOfShots(group) + parts;
}

void PreparePeerBeside(const PeerGroup& group, cudaStream_t stream) {
  CHECK_EQ(group.beside_bytes % sizeof(Words), size_t{0});
  if (group.beside_bytes == 0) return;
  const BesideArea area = AreaOf(group);
  char* const buffer = static_cast<char*>(group.buffers[group.index]);
  cudaMemsetAsync(buffer + area.flags, 0, area.parts - area.flags, stream);
  NumberKernel<<<1, kThreads, 0, stream>>>(reinterpret_cast<uint32_t*>(buffer + area.numbers));
}

// A flag follows its part on the stream, and so is seen after it.
cudaError_t PushBeside(const PeerGroup& group, const Tensor& x, uint32_t number,
                       cudaStream_t side) {
  CHECK(PeersCanSum(x) && x.num_bytes() <= group.beside_bytes)
      << x.num_bytes() << " bytes of " << DTypeName(x.dtype);
  const auto* const numbers = reinterpret_cast<const uint32_t*>(
      static_cast<const char*>(group.buffers[group.index]) + AreaOf(group).numbers);
  const auto copy = [side](void* to, const void* from, size_t num_bytes) {
    return cudaMemcpyAsync(to, from, num_bytes, cudaMemcpyDeviceToDevice, side);
  };
  cudaError_t error = cudaSuccess;
  for (int k = 1; k < group.size && error == cudaSuccess; ++k) {
    const int peer = (group.index + k) % group.size;
    error = copy(BesidePart(group, peer, number, group.index), x.data, x.num_bytes());
    if (error != cudaSuccess) break;
    error = copy(FlagOf(group, peer, number, group.index), numbers + FlagValue(number),
                 sizeof(uint32_t));
  }
  return error;
}

void AddPushed(const PeerGroup& group, const Tensor& x, uint32_t number, cudaStream_t stream) {
  const size_t words = x.num_bytes() / sizeof(Words);
  const auto blocks =
      static_cast<unsigned>(std::clamp<size_t>((words + kThreads - 1) / kThreads, 1, kMostBlocks));
  DispatchDevice(x.dtype, [&](auto zero) {
    AddPushedKernel<decltype(zero)>
        <<<blocks, kThreads, 0, stream>>>(group, x.as<Words>(), words, number);
  });
}

}  // namespace regatta
