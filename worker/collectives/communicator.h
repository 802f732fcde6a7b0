// Communicator: what ranks of one group say to one another. One interface, one implementation per
// transport (shared memory between CPU ranks; NCCL between GPUs). Formed and dissolved at run time;
// every wait ends at a deadline or at Abort().
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "kernels/ops.h"

namespace regatta {

// A subset of a group's ranks that call the same collectives in the same order. Collectives are in
// place or to `out`, ordered on this rank's stream, and bit-equal on all members. A failed
// collective (peer gone, aborted, deadline) sets status(); results are then undefined and later
// calls return at once, so model code needs no error plumbing: the executor asks once per step.
class Communicator : public Reducer {
 public:
  virtual int rank() const = 0;
  // out [size, ...] = every rank's x, in rank order. x and out are dense.
  virtual void AllGather(const Tensor& x, const Tensor& out) = 0;
  // out = this rank's slice (dimension 0) of the sum of all x.
  virtual void ReduceScatter(const Tensor& x, const Tensor& out) = 0;
  // x of `root` on every rank, in place.
  virtual void Broadcast(const Tensor& x, int root) = 0;
  // Point to point within this communicator; messages between two ranks on one `channel` keep their
  // order. Send returns before the peer receives while the channel has room, so a sender that runs
  // ahead is held back, never lost.
  virtual void Send(const Tensor& x, int peer, int channel) = 0;
  virtual void Recv(const Tensor& x, int peer, int channel) = 0;
  // Sums that run beside what is issued after them. BeginSum is AllReduceSum of an `x` of at most
  // BesideBytes() bytes, a multiple of kSumAlignment, nobody touches which before the AwaitSum that
  // is its own: awaited in the order in which they began, at most kSumsBeside under way. Between
  // the first BeginSum and the last AwaitSum no other collective is called. Not to be replayed: a
  // graph may hold them once.
  virtual void BeginSum(const Tensor& x) { AllReduceSum(x); }
  virtual void AwaitSum() {}
  // 0 where sums run beside nothing.
  virtual size_t BesideBytes() const { return 0; }
  // Whether sums are kernels and nothing else, so that any number of graphs may hold them: NCCL
  // keeps memory for every graph that it is in.
  virtual bool SumsAreKernels() const { return false; }
  // First failure since forming, naming the peer; OK otherwise.
  virtual absl::Status status() const = 0;
  // Makes every wait on every rank of the group return now. Thread-safe.
  virtual void Abort(const std::string& reason) = 0;
};

inline constexpr int kSumsBeside = 2;
inline constexpr size_t kSumAlignment = 16;  // bytes that their size is a multiple of

// Channels of Send/Recv: activations flow down the pipeline, sampled ids flow back to the first
// stage.
inline constexpr int kActivationChannel = 0;
inline constexpr int kTokenChannel = 1;
inline constexpr int kNumChannels = 2;

// A communicator of one rank: everything is a no-op or a copy of host memory.
std::unique_ptr<Communicator> MakeSelfCommunicator();

}  // namespace regatta
