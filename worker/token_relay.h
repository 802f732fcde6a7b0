// TokenRelay: with pipelines, the ids that the last stage draws travel to the first, from device to
// device, which feeds them to the next step of their sequences. Received in step order, only when
// needed or before the channel would fill, so plans in flight never wait for one another without
// cause.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/worker.pb.h"
#include "worker/batch.h"
#include "worker/collectives/communicator.h"
#include "worker/slot_table.h"

namespace regatta {

class TokenRelay {
 public:
  // `pipeline` and `ops` must outlive the relay; `drawn` [num_slots] is where tokens are looked up
  // by slot. `max_inflight` is the most plans that are dispatched and not committed, and so the
  // most messages under way. RESOURCE_EXHAUSTED when memory is.
  static absl::StatusOr<std::unique_ptr<TokenRelay>> Create(Communicator& pipeline, Ops& ops,
                                                            int32_t* drawn, uint32_t num_slots,
                                                            uint32_t max_inflight);

  // Last stage, after a step's draws: sends those of `slots` [n] (device memory) to the first.
  void Send(const int32_t* slots, int n);
  // First stage, before a plan's forward pass: receives what it looks up.
  absl::Status ReceiveFor(const StepPlan& plan, const SlotTable& slots);
  // First stage, after a step: ids of `batch`'s draws are under way.
  void Expect(const StepPlan& plan, const StepBatch& batch);

 private:
  // One message's memory; as many as can be under way, used in turn.
  struct Message {
    Buffer host_slots;
    Buffer slots, ids;  // on the device
  };
  struct UnderWay {
    uint64_t step_id;
    int count;
  };

  TokenRelay(Communicator& pipeline, Ops& ops, int32_t* drawn, uint32_t num_slots)
      : pipeline_(pipeline), ops_(ops), drawn_(drawn), num_slots_(num_slots) {}
  Message& TakeMessage(size_t& next) { return messages_[next++ % messages_.size()]; }
  absl::Status ReceiveOldest();

  Communicator& pipeline_;
  Ops& ops_;
  int32_t* const drawn_;
  const uint32_t num_slots_;
  std::vector<Message> messages_;
  size_t newest_ = 0, oldest_ = 0;  // messages sent or expected, and received, so far
  std::deque<UnderWay> under_way_;
};

}  // namespace regatta
