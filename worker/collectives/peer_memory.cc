// Exchanging and opening memory handles; see peer_memory.h.
#include "worker/collectives/peer_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "kernels/cuda/cuda_ops.h"

namespace regatta {
namespace {

// Memory of other processes is mapped in whole pages of the device.
constexpr size_t kPage = 2 << 20;

// Tells this process from others of the host, whatever their process ids are in their containers.
uint64_t ProcessNonce() {
  static const uint64_t nonce = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  return nonce;
}

// Every member's `mine`, by rank.
template <typename T>
absl::StatusOr<std::vector<T>> GatherFromMembers(NcclLink& link, int communicator, int size,
                                                 const T& mine, Ops& ops, absl::Time deadline) {
  const auto stream = static_cast<cudaStream_t>(CudaStreamOf(ops));
  const Buffer memory = ops.Allocate((size + 1) * sizeof(T));
  if (memory.data() == nullptr) return absl::ResourceExhaustedError("no device memory left");
  T* const all = static_cast<T*>(memory.data());
  ops.CopyToDevice(all + size, &mine, sizeof(T));
  RETURN_IF_ERROR(
      link.Issue(communicator, "exchanging memory handles", deadline, [&](ncclComm_t comm) {
        return ncclAllGather(all + size, all, sizeof(T), ncclUint8, comm, stream);
      }));
  if (const absl::Status idle = AwaitIdle(stream, link, deadline); !idle.ok()) {
    return link.Fail(idle);  // or freeing the memory would wait for the gather
  }
  std::vector<T> gathered(size);
  ops.CopyToHost(gathered.data(), all, size * sizeof(T));
  return gathered;
}

PeerGroup GroupOf(int index, int size, const PeerLimits& limits) {
  PeerGroup group;
  group.index = index;
  group.size = size;
  const auto bytes = [](int64_t limit, size_t otherwise) {
    return (limit < 0 ? otherwise : static_cast<size_t>(limit)) / 16 * 16;
  };
  group.one_shot_bytes = bytes(limits.one_shot_bytes, DefaultOneShotBytes(size));
  group.two_shot_bytes = bytes(limits.two_shot_bytes, kDefaultTwoShotBytes);
  group.beside_bytes = bytes(limits.beside_bytes + 15, 0);
  return group;
}

absl::Status CudaStatus(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // told here, not to the next launch
  return absl::UnavailableError(absl::StrCat(what, ": ", cudaGetErrorString(error)));
}

}  // namespace

struct PeerMemory::Card {
  bool ready;  // memory, handle, and a segment of host memory to leave by
  int pid;
  uint64_t nonce;
  void* address;
  cudaIpcMemHandle_t handle;
  char bus_id[32];
};

absl::Status AwaitIdle(cudaStream_t stream, const NcclLink& link, absl::Time deadline) {
  while (true) {
    const cudaError_t state = cudaStreamQuery(stream);
    if (state != cudaErrorNotReady) return CudaStatus(state, "device fault");
    RETURN_IF_ERROR(link.status());
    if (absl::Now() > deadline) return absl::DeadlineExceededError("the device is still busy");
    absl::SleepFor(absl::Microseconds(50));
  }
}

PeerMemory::Card PeerMemory::MakeCard() const {
  Card card = {};
  card.pid = getpid();
  card.nonce = ProcessNonce();
  card.address = memory_.data();
  card.ready = memory_.data() != nullptr && group_.abort != nullptr &&
               cudaIpcGetMemHandle(&card.handle, memory_.data()) == cudaSuccess &&
               cudaDeviceGetPCIBusId(card.bus_id, sizeof(card.bus_id), device_) == cudaSuccess;
  cudaGetLastError();
  return card;
}

absl::Status PeerMemory::Map(int peer, const Card& card) {
  int device = -1, reaches = 1;
  cudaSetDevice(device_);
  // A device hidden from this process can be opened all the same, if the hardware can.
  if (cudaDeviceGetByPCIBusId(&device, card.bus_id) == cudaSuccess) {
    RETURN_IF_ERROR(
        CudaStatus(cudaDeviceCanAccessPeer(&reaches, device_, device), "asking for peer access"));
  } else {
    cudaGetLastError();
  }
  if (reaches == 0) return absl::UnavailableError("no peer access between their GPUs");
  if (card.pid == getpid() && card.nonce == ProcessNonce()) {
    const cudaError_t enabled = cudaDeviceEnablePeerAccess(device, 0);
    if (enabled == cudaErrorPeerAccessAlreadyEnabled) {
      cudaGetLastError();
    } else {
      RETURN_IF_ERROR(CudaStatus(enabled, "enabling peer access"));
    }
    group_.buffers[peer] = card.address;
    return absl::OkStatus();
  }
  void* opened = nullptr;
  RETURN_IF_ERROR(
      CudaStatus(cudaIpcOpenMemHandle(&opened, card.handle, cudaIpcMemLazyEnablePeerAccess),
                 "opening memory"));
  opened_.push_back(opened);
  group_.buffers[peer] = opened;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PeerMemory>> PeerMemory::Create(NcclLink& link, int communicator,
                                                               int index, int size,
                                                               const PeerLimits& limits, Ops& ops,
                                                               absl::Time deadline) {
  PeerGroup group = GroupOf(index, size, limits);
  if (size > kMaxPeers || std::max(group.one_shot_bytes, group.two_shot_bytes) == 0) return nullptr;
  group.abort = link.abort_word();
  const size_t num_bytes = (PeerBufferBytes(group) + kPage - 1) / kPage * kPage;
  Buffer memory = link.has_host() ? ops.Allocate(num_bytes) : Buffer();
  group.buffers[index] = memory.data();
  std::unique_ptr<PeerMemory> peers(new PeerMemory(CudaDeviceOf(ops), group, std::move(memory)));
  const Card mine = peers->MakeCard();
  if (mine.ready) PreparePeerBuffer(group, static_cast<cudaStream_t>(CudaStreamOf(ops)));
  ASSIGN_OR_RETURN(const std::vector<Card> cards,
                   GatherFromMembers(link, communicator, size, mine, ops, deadline));
  absl::Status mapped;
  for (int peer = 0; peer < size && mapped.ok(); ++peer) {
    if (!cards[peer].ready) {
      mapped = absl::UnavailableError("it cannot share memory");
    } else if (peer != index) {
      mapped = peers->Map(peer, cards[peer]);
    }
    if (!mapped.ok()) {
      std::fprintf(stderr,
                   "rank %d of %d does not map the GPU memory of rank %d (%s): NCCL alone sums\n",
                   index, size, peer, std::string(mapped.message()).c_str());
    }
  }
  // Nobody may push before all have prepared and mapped; and all do, or none.
  ASSIGN_OR_RETURN(const std::vector<char> all,
                   GatherFromMembers<char>(link, communicator, size, mapped.ok(), ops, deadline));
  if (std::find(all.begin(), all.end(), false) == all.end()) return peers;
  peers->Unmap();
  // Nobody frees what another has mapped.
  RETURN_IF_ERROR(GatherFromMembers<char>(link, communicator, size, 0, ops, deadline).status());
  return nullptr;
}

void PeerMemory::Unmap() {
  cudaSetDevice(device_);
  for (void* memory : std::exchange(opened_, {})) cudaIpcCloseMemHandle(memory);
}

PeerMemory::~PeerMemory() { Unmap(); }

}  // namespace regatta
