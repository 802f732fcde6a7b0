// Two small containers of the scheduler: the order of waiting sequences, and the set of free slots.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/check.h"
#include "router/scheduler/sequence.h"

namespace regatta {

// Waiting sequences in order of service. Those that need a sampling row are queued apart, so that
// the others can pass them while no row is free without anyone searching the queue.
class SequenceQueue {
 public:
  void Push(Sequence& sequence) { QueueOf(sequence).emplace(sequence.rank(), &sequence); }
  void Remove(const Sequence& sequence) { CHECK_EQ(QueueOf(sequence).erase(sequence.rank()), 1u); }

  // The first in order; nullptr when none is waiting that may run with or without a sampling row.
  Sequence* Head(bool row_free) const {
    Sequence* head = plain_.empty() ? nullptr : plain_.begin()->second;
    if (!row_free || with_row_.empty()) return head;
    Sequence* other = with_row_.begin()->second;
    return head == nullptr || other->rank() < head->rank() ? other : head;
  }
  size_t size() const { return plain_.size() + with_row_.size(); }

 private:
  using Queue = std::map<Rank, Sequence*>;
  Queue& QueueOf(const Sequence& sequence) { return sequence.takes_row ? with_row_ : plain_; }
  Queue plain_;
  Queue with_row_;
};

// Free slots, lowest first: the slots in use stay dense, here and in the workers' tables.
class FreeSlots {
 public:
  explicit FreeSlots(uint32_t count) : words_((count + 63) / 64, ~uint64_t{0}), free_(count) {
    if (count % 64 != 0) words_.back() = (uint64_t{1} << (count % 64)) - 1;
  }
  // CHECKs that one is free.
  uint32_t Take() {
    CHECK_GT(free_--, 0u);
    size_t word = 0;
    while (words_[word] == 0) ++word;
    const uint32_t slot = static_cast<uint32_t>(word * 64 + std::countr_zero(words_[word]));
    words_[word] &= words_[word] - 1;
    return slot;
  }
  void Give(uint32_t slot) {
    CHECK(!contains(slot)) << "slot " << slot;
    words_[slot / 64] |= uint64_t{1} << (slot % 64);
    ++free_;
  }
  bool contains(uint32_t slot) const { return (words_[slot / 64] >> (slot % 64)) & 1; }
  uint32_t size() const { return free_; }

 private:
  std::vector<uint64_t> words_;
  uint32_t free_;
};

}  // namespace regatta
