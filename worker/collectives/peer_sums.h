// PeerSums: sums of one communicator on a stream of their own, beside what the rank's stream
// does. Knows no NCCL.
#pragma once

#include <cuda_runtime.h>

#include <deque>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/peer_beside.h"
#include "worker/collectives/peer_memory.h"

namespace regatta {

class PeerSums {
 public:
  // `peers` has a place for them (PeerLimits) and must outlive this.
  static absl::StatusOr<std::unique_ptr<PeerSums>> Create(const PeerMemory& peers);
  ~PeerSums();

  // As Communicator::BeginSum and AwaitSum, of a rank whose work is issued on `stream`.
  absl::Status Begin(const Tensor& x, cudaStream_t stream);
  absl::Status Await(cudaStream_t stream);
  // Whether nothing is under way on the stream of its own.
  bool Idle() const { return cudaStreamQuery(side_) != cudaErrorNotReady; }

 private:
  struct Sum {
    Tensor x;
    uint32_t number;
  };

  explicit PeerSums(const PeerMemory& peers) : peers_(peers) {}

  const PeerMemory& peers_;
  cudaStream_t side_ = nullptr;
  cudaEvent_t ready_ = nullptr;               // the newest sum's x has been computed
  cudaEvent_t pushed_[kPeerSumsBeside] = {};  // by number
  std::deque<Sum> under_way_;
  uint32_t next_ = 0;
};

}  // namespace regatta
