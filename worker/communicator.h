// Communicator: what ranks of one group say to one another. One interface, one implementation per transport (shared memory between
// CPU ranks; NCCL between GPUs). Formed and dissolved at run time; every wait ends at a deadline or at Abort().
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kernels/ops.h"

namespace regatta {

// A subset of a group's ranks that call the same collectives in the same order. Collectives are in place or to `out`, ordered on
// this rank's stream, and bit-equal on all members. A failed collective (peer gone, aborted, deadline) sets status(); results are
// then undefined and later calls return at once, so model code needs no error plumbing: the executor asks once per step.
class Communicator : public Reducer {
 public:
  virtual int rank() const = 0;
  // out [size, ...] = every rank's x, in rank order. x and out are dense.
  virtual void AllGather(const Tensor& x, const Tensor& out) = 0;
  // out = this rank's slice (dimension 0) of the sum of all x.
  virtual void ReduceScatter(const Tensor& x, const Tensor& out) = 0;
  // x of `root` on every rank, in place.
  virtual void Broadcast(const Tensor& x, int root) = 0;
  // Point to point within this communicator; messages between two ranks on one `channel` keep their order. Send may return before
  // the peer receives, up to the capacity given when the group was formed.
  virtual void Send(const Tensor& x, int peer, int channel) = 0;
  virtual void Recv(const Tensor& x, int peer, int channel) = 0;
  // First failure since forming, naming the peer; OK otherwise.
  virtual absl::Status status() const = 0;
  // Makes every wait on every member return now. Thread-safe.
  virtual void Abort(const std::string& reason) = 0;
};

// Channels of Send/Recv: activations flow down the pipeline, sampled ids flow back to the first stage.
inline constexpr int kActivationChannel = 0;
inline constexpr int kTokenChannel = 1;
inline constexpr int kNumChannels = 2;

// Creates the shared-memory segment of a group of `world_size` CPU ranks and returns its name, the group's communicator id.
// `max_message_bytes` bounds one collective or message; `max_inflight` bounds unreceived messages per pair and channel.
absl::StatusOr<std::string> CreateSharedMemoryGroup(int world_size, uint64_t max_message_bytes,
                                                    int max_inflight);

// Joins as `rank`, waiting for all ranks until `timeout` (then DEADLINE_EXCEEDED names the missing ranks). The segment's name is
// unlinked once all have joined, so nothing is left behind whoever dies.
class SharedMemoryGroup;
absl::StatusOr<std::shared_ptr<SharedMemoryGroup>> JoinSharedMemoryGroup(const std::string& id,
                                                                        int rank,
                                                                        absl::Duration timeout);

// A communicator over the ranks first, first + stride, ... (`count` of them) of the group; this rank must be one of them. Every
// member makes the same communicators in the same order. `timeout` bounds each wait.
std::unique_ptr<Communicator> MakeSharedMemoryCommunicator(std::shared_ptr<SharedMemoryGroup> group,
                                                           int first, int stride, int count,
                                                           absl::Duration timeout);

// A communicator of one rank: everything is a no-op or a copy.
std::unique_ptr<Communicator> MakeSelfCommunicator();

}  // namespace regatta
