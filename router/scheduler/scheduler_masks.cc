// Whose draws await masks in the next plan: sampling waits for all masks of a step, so that what
// they may be expected to cost together is limited.
#include <algorithm>
#include <vector>

#include "router/scheduler/scheduler_impl.h"

namespace regatta {

void Scheduler::Impl::NoteMaskWork(uint64_t id, uint64_t work) {
  const auto it = live_.find(id);
  if (it != live_.end()) sequences_[it->second]->mask_work.Note(work);
}

// Takes from chosen_ those whose masks must wait for a later plan. Cheap masks go first, and costly
// ones the sooner the longer they have waited: in the long run each costly sequence gets the same
// work done. No mask counts as more than half of what a step may spend, so that each fits some.
void Scheduler::Impl::TakeMaskTurns() {
  masked_.clear();
  for (const uint32_t slot_id : chosen_) {
    const Slot& slot = slots_[slot_id];
    if ((slot.draw_flags & STEP_FLAG_AWAITS_MASK) == 0) continue;
    const uint64_t expected = sequences_[slot.sequence]->mask_work.expected();
    const uint64_t work = std::min(expected, options_.mask_work / 2);
    const auto waited = static_cast<double>(step_ - slot.last_step);
    masked_.push_back({static_cast<double>(work) / (1 + waited), work, slot_id});
  }
  std::sort(masked_.begin(), masked_.end());
  uint64_t work = 0;
  const auto fits = [&](const MaskTurn& turn) {
    const bool first = work == 0;
    work += turn.work;
    return first || work <= options_.mask_work;
  };
  const auto put_off = std::find_if_not(masked_.begin(), masked_.end(), fits);
  const auto by_slot = [](const MaskTurn& a, const MaskTurn& b) { return a.slot < b.slot; };
  std::sort(put_off, masked_.end(), by_slot);
  std::erase_if(chosen_, [&](uint32_t slot_id) {
    return std::binary_search(put_off, masked_.end(), MaskTurn{.slot = slot_id}, by_slot);
  });
}

}  // namespace regatta
