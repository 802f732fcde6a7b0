// Memory of GPUs of one host that each rank of a communicator maps from the others, for the sums of
// kernels/cuda/peer_all_reduce.h.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kernels/cuda/peer_all_reduce.h"
#include "kernels/ops.h"
#include "worker/collectives/nccl_link.h"
#include "worker/collectives/peer_limits.h"

namespace regatta {

class PeerMemory {
 public:
  // Allocates and maps; all `size` members of `communicator`, of which this one is `index`, call it
  // at once. Null, after a line on stderr, where the members cannot map one another's memory; all
  // then get null. `ops` and `link` must outlive it.
  static absl::StatusOr<std::unique_ptr<PeerMemory>> Create(NcclLink& link, int communicator,
                                                            int index, int size,
                                                            const PeerLimits& limits, Ops& ops,
                                                            absl::Time deadline);
  // Unmaps, and frees this rank's own memory: no peer may have it mapped any more.
  ~PeerMemory();

  const PeerGroup& group() const { return group_; }
  // Forgets the peers' memory. Nothing that uses it may be running.
  void Unmap();
  // Keeps this rank's own memory and what it mapped for ever, when they may still be written to.
  void Leak() {
    new Buffer(std::move(memory_));
    opened_.clear();
  }

 private:
  // What a rank tells the others about its memory.
  struct Card;

  PeerMemory(int device, const PeerGroup& group, Buffer memory)
      : device_(device), group_(group), memory_(std::move(memory)) {}
  Card MakeCard() const;
  // The peer's memory as this rank addresses it. UNAVAILABLE says why it cannot.
  absl::Status Map(int peer, const Card& card);

  const int device_;
  PeerGroup group_;
  Buffer memory_;
  std::vector<void*> opened_;  // of other processes
};

// Waits until `stream` has nothing left to do, the link fails or the deadline passes.
absl::Status AwaitIdle(cudaStream_t stream, const NcclLink& link, absl::Time deadline);

}  // namespace regatta
