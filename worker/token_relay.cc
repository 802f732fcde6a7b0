// Ids from the last stage to the first; see token_relay.h.
#include "worker/token_relay.h"

namespace regatta {

void TokenRelay::Send(const std::vector<uint32_t>& ids) {
  if (ids.empty()) return;
  ids_.assign(ids.begin(), ids.end());
  pipeline_.Send(Tensor::Of(ids_.data(), DType::kInt32, ids_.size()), 0, kTokenChannel);
}

absl::Status TokenRelay::ReceiveFor(const StepPlan& plan, SlotTable& slots) {
  uint64_t needed_step = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    if (HasInlineTokens(plan, entry)) continue;
    needed_step = std::max(needed_step, slots.slot(plan.slot(entry)).drawn_in_step);
  }
  // A plan is dispatched once the one `max_inflight` before it has committed: that one's ids are on
  // their way already.
  while (!under_way_.empty() &&
         (under_way_.front().step_id <= needed_step || under_way_.size() >= max_inflight_)) {
    if (absl::Status status = ReceiveOldest(slots); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status TokenRelay::ReceiveOldest(SlotTable& slots) {
  const Message& message = under_way_.front();
  ids_.resize(message.draws.size());
  pipeline_.Recv(Tensor::Of(ids_.data(), DType::kInt32, ids_.size()), pipeline_.size() - 1,
                 kTokenChannel);
  if (absl::Status status = pipeline_.status(); !status.ok()) return status;
  for (size_t i = 0; i < ids_.size(); ++i) {
    slots.SetLastToken(message.draws[i].slot, message.draws[i].generation,
                       static_cast<uint32_t>(ids_[i]));
  }
  under_way_.pop_front();
  return absl::OkStatus();
}

void TokenRelay::Expect(const StepPlan& plan, const StepBatch& batch, const SlotTable& slots) {
  if (batch.sample_entries.empty()) return;
  Message message = {plan.step_id(), {}};
  for (int entry : batch.sample_entries) {
    const uint32_t slot = plan.slot(entry);
    message.draws.push_back({slot, slots.slot(slot).generation});
  }
  under_way_.push_back(std::move(message));
}

}  // namespace regatta
