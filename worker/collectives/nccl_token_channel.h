// Sampled ids between the ranks of a group, beside everything else: a sent message waits for its
// receiver on a stream of its own, so the rank's next step need not.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kernels/ops.h"
#include "worker/collectives/nccl_link.h"

namespace regatta {

class NcclTokenChannel {
 public:
  // `communicator` of `link` serves this channel alone. RESOURCE_EXHAUSTED without memory.
  static absl::StatusOr<std::unique_ptr<NcclTokenChannel>> Create(NcclLink& link, int communicator,
                                                                  Ops& ops);
  ~NcclTokenChannel();

  // Connects a sender and its receiver, both of which call it. Ranks that were not connected so
  // wait for one another at their first message, with their threads.
  absl::Status ConnectTo(int receiver, absl::Time deadline);
  absl::Status ConnectFrom(int sender, absl::Time deadline);

  // Copies `x` aside and returns; up to kMessages of at most kMessageBytes may be under way, others
  // hold up the rank's stream. Not to be captured: a recorded graph would end before its message.
  absl::Status Send(const Tensor& x, int receiver, absl::Time deadline);
  // The rank's stream waits for the message.
  absl::Status Receive(const Tensor& x, int sender, absl::Time deadline);

  static constexpr int kMessages = 8;
  static constexpr size_t kMessageBytes = 64 << 10;

 private:
  struct Message {
    void* data = nullptr;  // kMessageBytes
    cudaEvent_t sent = nullptr;
  };

  NcclTokenChannel(NcclLink& link, int communicator, Ops& ops, Buffer memory);
  absl::Status SendAside(const void* data, size_t num_bytes, int receiver, absl::Time deadline,
                         cudaEvent_t sent);
  absl::Status Check(const char* what);

  NcclLink& link_;
  const int communicator_;
  const cudaStream_t stream_;  // the rank's
  const Buffer memory_;
  cudaStream_t side_ = nullptr;
  cudaEvent_t ready_ = nullptr;
  std::vector<Message> messages_;
  size_t next_ = 0;
};

}  // namespace regatta
