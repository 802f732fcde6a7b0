// The merges that are due in a long piece of text, lowest rank and leftmost first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace regatta {

// One list of positions for each rank, so that taking a merge costs no more in a longer piece: a
// merge makes pairs of higher rank, as a rule, since tokens are made of tokens that came before
// them. The few others go through a heap. For one thread at a time.
class MergeQueue {
 public:
  void Clear() {
    for (size_t i = 0; i < used_; ++i) lists_[i].clear();
    list_of_rank_.clear();
    ranks_.clear();
    early_.clear();
    used_ = 0;
    current_ = kNone;
    taken_ = 0;
  }

  void Push(uint32_t rank, uint32_t position) {
    if (current_ != kNone && rank <= current_rank_) {
      early_.push_back(Key(rank, position));
      std::push_heap(early_.begin(), early_.end(), std::greater<>());
    } else {
      lists_[ListOf(rank)].push_back(position);
    }
  }

  // Takes the first merge; false when there is none.
  bool Pop(uint32_t& rank, uint32_t& position) {
    if (early_.empty() && CurrentDone() && !NextList()) return false;
    bool early = !early_.empty() &&
                 (CurrentDone() || early_[0] < Key(current_rank_, lists_[current_][taken_]));
    if (early) {
      rank = static_cast<uint32_t>(early_[0] >> 32);
      position = static_cast<uint32_t>(early_[0]);
      std::pop_heap(early_.begin(), early_.end(), std::greater<>());
      early_.pop_back();
    } else {
      rank = current_rank_;
      position = lists_[current_][taken_++];
    }
    return true;
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  static uint64_t Key(uint32_t rank, uint32_t low) {
    return static_cast<uint64_t>(rank) << 32 | low;
  }

  bool CurrentDone() const { return current_ == kNone || taken_ == lists_[current_].size(); }

  size_t ListOf(uint32_t rank) {
    auto [it, is_new] = list_of_rank_.try_emplace(rank, static_cast<uint32_t>(used_));
    if (is_new) {
      if (used_ == lists_.size()) lists_.emplace_back();
      ranks_.push_back(Key(rank, static_cast<uint32_t>(used_++)));
      std::push_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    }
    return it->second;
  }

  // Makes the list of the next rank the current one; false when there is none.
  bool NextList() {
    if (ranks_.empty()) return false;
    current_rank_ = static_cast<uint32_t>(ranks_[0] >> 32);
    current_ = static_cast<uint32_t>(ranks_[0]);
    taken_ = 0;
    std::pop_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    ranks_.pop_back();
    std::vector<uint32_t>& list = lists_[current_];
    if (!std::is_sorted(list.begin(), list.end())) std::sort(list.begin(), list.end());
    return true;
  }

  std::vector<std::vector<uint32_t>> lists_;  // The first used_ belong to ranks; kept for reuse.
  absl::flat_hash_map<uint32_t, uint32_t> list_of_rank_;
  std::vector<uint64_t> ranks_;  // Heap of (rank << 32 | list).
  std::vector<uint64_t> early_;  // Heap of (rank << 32 | position), ranks up to the current one.
  size_t used_ = 0;
  size_t current_ = kNone;  // The list that is being taken.
  size_t taken_ = 0;        // So many of it are gone.
  uint32_t current_rank_ = 0;
};

}  // namespace regatta
