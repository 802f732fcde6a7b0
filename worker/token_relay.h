// TokenRelay: with pipelines, the ids that the last stage draws travel to the first, which feeds
// them to the next step of their sequences. Received in step order, only when needed or before the
// channel would fill, so plans in flight never wait for one another without cause.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "proto/worker.pb.h"
#include "worker/batch.h"
#include "worker/communicator.h"
#include "worker/slot_table.h"

namespace regatta {

class TokenRelay {
 public:
  // `pipeline` must outlive the relay; `max_inflight` is the most plans that are dispatched and not
  // committed, and so the most messages under way.
  TokenRelay(Communicator& pipeline, uint32_t max_inflight)
      : pipeline_(pipeline), max_inflight_(max_inflight) {}

  // Last stage: sends the ids drawn in this step to the first.
  void Send(const std::vector<uint32_t>& ids);
  // First stage, before a plan's batch is built: receives the ids it needs into `slots`.
  absl::Status ReceiveFor(const StepPlan& plan, SlotTable& slots);
  // First stage, after a step: ids of `batch`'s draws are under way.
  void Expect(const StepPlan& plan, const StepBatch& batch, const SlotTable& slots);

 private:
  struct Draw {
    uint32_t slot;
    uint32_t generation;
  };
  struct Message {
    uint64_t step_id;
    std::vector<Draw> draws;
  };
  absl::Status ReceiveOldest(SlotTable& slots);

  Communicator& pipeline_;
  const size_t max_inflight_;
  std::deque<Message> under_way_;
  std::vector<int32_t> ids_;
};

}  // namespace regatta
