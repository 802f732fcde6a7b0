// Ids from the last stage to the first; see token_relay.h.
#include "worker/token_relay.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace regatta {

absl::StatusOr<std::unique_ptr<TokenRelay>> TokenRelay::Create(Communicator& pipeline, Ops& ops,
                                                               int32_t* drawn, uint32_t num_slots,
                                                               uint32_t max_inflight) {
  std::unique_ptr<TokenRelay> relay(new TokenRelay(pipeline, ops, drawn, num_slots));
  const size_t bytes = num_slots * sizeof(int32_t);
  for (uint32_t i = 0; i < max_inflight; ++i) {
    Message message{ops.AllocateHost(bytes), ops.Allocate(bytes), ops.Allocate(bytes)};
    if (message.host_slots.data() == nullptr || message.slots.data() == nullptr ||
        message.ids.data() == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes of ids"));
    }
    relay->messages_.push_back(std::move(message));
  }
  return relay;
}

void TokenRelay::Send(const int32_t* slots, int n) {
  if (n == 0) return;
  const Message& message = TakeMessage(newest_);
  const Tensor ids = Tensor::Of(message.ids.data(), DType::kInt32, n, 1);
  ops_.GatherRows(Tensor::Of(drawn_, DType::kInt32, num_slots_, 1), slots, ids);
  pipeline_.Send(ids, 0, kTokenChannel);
}

absl::Status TokenRelay::ReceiveFor(const StepPlan& plan, const SlotTable& slots) {
  uint64_t needed_step = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    if (HasInlineTokens(plan, entry)) continue;
    needed_step = std::max(needed_step, slots.slot(plan.slot(entry)).drawn_in_step);
  }
  // A plan is dispatched once the one `max_inflight` before it has committed: that one's ids are on
  // their way already.
  while (!under_way_.empty() &&
         (under_way_.front().step_id <= needed_step || under_way_.size() >= messages_.size())) {
    if (absl::Status status = ReceiveOldest(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// A slot that has been given on since gets its predecessor's id first, its own later.
absl::Status TokenRelay::ReceiveOldest() {
  const Message& message = TakeMessage(oldest_);
  const int count = under_way_.front().count;
  under_way_.pop_front();
  pipeline_.Recv(Tensor::Of(message.ids.data(), DType::kInt32, count, 1), pipeline_.size() - 1,
                 kTokenChannel);
  if (absl::Status status = pipeline_.status(); !status.ok()) return status;
  ops_.PlaceTokens(static_cast<const int32_t*>(message.ids.data()),
                   static_cast<const int32_t*>(message.slots.data()), count, drawn_);
  return absl::OkStatus();
}

void TokenRelay::Expect(const StepPlan& plan, const StepBatch& batch) {
  const int count = static_cast<int>(batch.sampling.size());  // padding draws nothing
  if (count == 0) return;
  const Message& message = TakeMessage(newest_);
  const size_t bytes = count * sizeof(int32_t);
  std::memcpy(message.host_slots.data(), batch.sample_slots.data(), bytes);
  ops_.CopyToDevice(message.slots.data(), message.host_slots.data(), bytes);
  under_way_.push_back({plan.step_id(), count});
}

}  // namespace regatta
