// CheckInvariants: recounts everything that the scheduler keeps incrementally.
#include <algorithm>

#include "common/check.h"
#include "router/scheduler/scheduler_impl.h"

namespace regatta {

void Scheduler::Impl::CheckInvariants() const {
  pool_.CheckInvariants();
  cache_.CheckInvariants();
  CheckSequences();
  CheckSlots();
  CheckBlocks();
  CHECK_LE(inflight_, records_.size());
  CHECK_EQ(committed_step_ + inflight_, step_);
}

void Scheduler::Impl::CheckSequences() const {
  size_t occupied = 0, waiting = 0, draining = 0;
  for (const auto& sequence : sequences_) {
    if (sequence->arrival == 0) continue;
    ++occupied;
    const auto it = live_.find(sequence->spec.id);
    CHECK(it != live_.end()) << "sequence " << sequence->spec.id;
    CHECK_EQ(it->second, sequence->index);
    CHECK_LT(sequence->num_tokens(), sequence->limit);
    waiting += sequence->state == SequenceState::kWaiting;
    draining += sequence->state == SequenceState::kDraining;
    if (sequence->state == SequenceState::kRunning) {
      CHECK_EQ(slots_[sequence->slot].sequence, sequence->index);
    } else {
      CHECK_EQ(sequence->slot, kNoSlot);
      CHECK(sequence->blocks.empty()) << "sequence " << sequence->spec.id;
    }
  }
  CHECK_EQ(occupied, live_.size());
  CHECK_EQ(occupied + vacant_.size(), sequences_.size());
  CHECK_EQ(waiting, waiting_.size());
  CHECK_EQ(draining, draining_);
}

void Scheduler::Impl::CheckSlots() const {
  uint32_t used = 0, sampling_rows = 0;
  size_t prefilling = 0;
  for (uint32_t slot_id = 0; slot_id < slots_.size(); ++slot_id) {
    const Slot& slot = slots_[slot_id];
    CHECK_EQ(free_slots_.contains(slot_id), slot.free());
    if (slot.free()) continue;
    ++used;
    CHECK_LT(slot_id, end_slot_);
    const Sequence& sequence = *sequences_[slot.sequence];
    CHECK_EQ(sequence.slot, slot_id);
    CHECK_EQ(sequence.arrival, slot.rank.arrival);
    CHECK_EQ(sequence.num_tokens() + slot.awaited, slot.total);
    CHECK_LE(slot.total, slot.limit);
    CHECK_LE(slot.position, slot.capacity);
    if (slot.decoding()) {
      CHECK_EQ(slot.position + 1, slot.total);
      CHECK_EQ(sequence.blocks.size() * block_size_, slot.capacity);
    } else {
      CHECK_EQ(slot.prefill_end, slot.total);
      CHECK_EQ(sequence.blocks.size(), (slot.prefill_end + block_size_ - 1) / block_size_);
      ++prefilling;
    }
    sampling_rows += sequence.takes_row;
  }
  CHECK_EQ(used + free_slots_.size(), max_running_);
  CHECK_EQ(sampling_rows + free_rows_, options_.sampling_rows);
  CHECK_EQ(prefilling, prefilling_.size());
  for (size_t i = 0; i < prefilling_.size(); ++i) {
    CHECK(!slots_[prefilling_[i]].decoding()) << "slot " << prefilling_[i];
    CHECK(i == 0 || slots_[prefilling_[i - 1]].rank < slots_[prefilling_[i]].rank);
  }
}

void Scheduler::Impl::CheckBlocks() const {
  std::vector<uint32_t> references(pool_.num_blocks());
  for (const auto& sequence : sequences_) {
    for (const uint32_t block : sequence->blocks) ++references[block];
  }
  for (uint32_t block = 0; block < pool_.num_blocks(); ++block) {
    CHECK_EQ(references[block], pool_.references(block)) << "block " << block;
    // Only what can be found may be shared.
    CHECK(references[block] <= 1 || pool_.reusable(block)) << "block " << block;
  }
}

}  // namespace regatta
