// The automaton of a grammar made deterministic, level by level and only where a text leads. Not
// thread-safe. Knows no tokens.
//
// A state is the set of NFA states in which the current level may be, and how much white space
// came just before. Openers push: the new level starts in the starts of all rules that may be
// called. Closers pop: the level below goes on behind the calls of those rules that are complete.
// This is exact, because what a rule accepts does not depend on who called it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "router/grammar/nfa.h"

namespace regatta::grammar {

using SetId = uint32_t;

// Most white space between two pieces of JSON: one space, or a line break and this many spaces or
// tabs. Bounded, so that no model can go on with it for ever.
inline constexpr uint32_t kMaxIndent = 40;

// Where a byte leads.
struct Step {
  enum Kind : uint32_t { kMove, kDead, kCount, kPush, kPop };
  Kind kind;
  // kMove, and kCount, which adds one to the count: of this level; kPush: of the new one; kPop:
  // what is complete.
  SetId target;
};

class Automaton {
 public:
  struct SetInfo {
    uint32_t next_limit = kUnlimited;   // Smallest limit of its NFA states.
    uint32_t level_limit = kUnlimited;  // Smallest limit that this level may still meet.
    uint32_t free_text_max = 0;         // Plain characters may come while the count is below this.
    bool only_free_text = true;         // Nothing else may come but the closer.
    bool counts = false;                // Arriving adds one to the count.
    bool ends_document = false;
    int16_t loop_kinds = -1;  // See LoopKinds; negative: not known.
  };

  explicit Automaton(Nfa nfa);

  SetId start() const { return start_; }
  const SetInfo& Info(SetId set) const { return info_[set]; }

  // Where `byte` leads from `set`. Without work left for a step never taken before: kDead, and
  // out_of_work() from then on.
  Step Next(SetId set, uint8_t byte) {
    const uint32_t entry = table_[size_t{set} * class_count_ + class_of_[byte]];
    return entry == kUnknown ? Compute(set, byte) : Decode(entry);
  }
  // True when `byte` leads from `set` to `next` by a kMove taken before: most bytes of most walks.
  bool Moves(SetId set, uint8_t byte, SetId& next) const {
    static_assert(Step::kMove == 0);
    next = table_[size_t{set} * class_count_ + class_of_[byte]];
    return next >> kIdBits == Step::kMove;
  }
  // The kinds of bytes (byte_kinds.h) all of which lead from `set` to itself.
  uint8_t LoopKinds(SetId set) {
    const int known = info_[set].loop_kinds;
    return known >= 0 ? static_cast<uint8_t>(known) : ComputeLoopKinds(set);
  }
  // The level below, at `set` when it was left, when the rules of `complete` are.
  SetId Return(SetId set, SetId complete);
  // Whether the work left suffices for Return.
  bool MayReturn(SetId set, SetId complete) const {
    return !out_of_work() || returns_.contains(uint64_t{set} << 32 | complete);
  }
  // `set` when the count has reached its next_limit.
  SetId AtLimit(SetId set);

  // Allows work for steps never taken before, in visits of NFA states (some nanoseconds each): one
  // a state met or kept, one for eight edges looked at. A step that finds too little is given up
  // on the way, so that no more is spent than one state's edges beyond it.
  void SetWork(uint64_t work) { work_ = work; }
  uint64_t work() const { return work_; }
  bool out_of_work() const { return work_ == 0; }

  size_t sets() const { return info_.size(); }
  size_t bytes() const { return fixed_bytes_ + grown_bytes(); }
  // The part of it that grows with the steps taken.
  size_t grown_bytes() const;
  // Forgets all sets but the start and those that `live` points to, which get new ids.
  void Forget(absl::Span<SetId* const> live);

 private:
  using Key = std::vector<uint32_t>;  // NFA states in order, then the white space so far.

  static constexpr uint32_t kUnknown = ~uint32_t{0};
  static constexpr uint32_t kIdBits = 29;

  static Step Decode(uint32_t entry) {
    return {static_cast<Step::Kind>(entry >> kIdBits), entry & ((uint32_t{1} << kIdBits) - 1)};
  }

  void MakeClasses();
  void Pay(uint64_t work) { work_ -= work < work_ ? work : work_; }
  Step Compute(SetId set, uint8_t byte);
  uint8_t ComputeLoopKinds(SetId set);
  bool StepWhiteSpace(SetId set, uint8_t byte, Step& step);
  // Collects where the edges and calls for `byte` lead. Whether calls are among them.
  bool CollectStep(SetId set, uint8_t byte);
  // Adds `state` and whatever epsilon edges reach to the set being collected.
  void Collect(StateId state);
  // The set of what was collected.
  SetId Intern(uint32_t white_space);
  void Describe(SetId set);
  absl::Span<const StateId> Members(SetId set) const {
    return absl::MakeConstSpan(*keys_[set]).subspan(0, keys_[set]->size() - 1);
  }
  uint32_t WhiteSpace(SetId set) const { return keys_[set]->back(); }

  const Nfa nfa_;
  const size_t fixed_bytes_;
  std::array<uint8_t, 256> class_of_;
  size_t class_count_ = 0;
  SetId start_ = 0;
  uint64_t work_ = ~uint64_t{0};

  absl::flat_hash_map<Key, SetId> ids_;
  std::vector<std::unique_ptr<const Key>> keys_;
  std::vector<SetInfo> info_;
  std::vector<uint32_t> table_;  // [set][class]
  absl::flat_hash_map<uint64_t, SetId> returns_;
  size_t key_bytes_ = 0;

  std::vector<StateId> collected_;
  std::vector<StateId> collect_pending_;
  std::vector<uint32_t> marks_;  // Of an NFA state: the round in which it was collected.
  uint32_t round_ = 0;
};

}  // namespace regatta::grammar
