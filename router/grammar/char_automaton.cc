// Limits on the length of what a character automaton accepts; see char_automaton.h.
#include "router/grammar/char_automaton.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "router/grammar/nfa.h"

namespace regatta::grammar {
namespace {

// (state, count) pairs reachable from (0, 0), numbered in the order of their discovery.
class Counted {
 public:
  Counted(const CharAutomaton& automaton, uint32_t min, uint32_t max)
      : automaton_(automaton), min_(min), max_(max) {}

  absl::StatusOr<CharAutomaton> Build() {
    Number(0, 0);
    for (size_t i = 0; i < pairs_.size(); ++i) {
      if (pairs_.size() > kMaxCountedStates || edges_ > kMaxCountedEdges) {
        return absl::InvalidArgumentError(
            absl::StrCat("the pattern and the limits of length together need more than ",
                         kMaxCountedStates, " states or ", kMaxCountedEdges, " edges"));
      }
      Expand(i);
    }
    return std::move(result_);
  }

 private:
  uint32_t Number(uint32_t state, uint32_t count) {
    auto [found, added] = numbers_.try_emplace({state, count}, pairs_.size());
    if (added) pairs_.push_back({state, count});
    result_.states.resize(pairs_.size());
    return found->second;
  }

  void Expand(size_t index) {
    const auto [state, count] = pairs_[index];
    const CharState& original = automaton_.states[state];
    result_.states[index].accepts = original.accepts && count >= min_;
    if (count == max_) return;
    // Where no limit is ahead, counts need not be told apart.
    const uint32_t next = max_ == kUnlimited ? std::min(count + 1, min_) : count + 1;
    for (const CharEdge& edge : original.edges) {
      const uint32_t target = Number(edge.target, next);
      result_.states[index].edges.push_back({edge.characters, target});
    }
    edges_ += original.edges.size();
  }

  const CharAutomaton& automaton_;
  const uint32_t min_;
  const uint32_t max_;
  std::vector<std::pair<uint32_t, uint32_t>> pairs_;
  absl::flat_hash_map<std::pair<uint32_t, uint32_t>, uint32_t> numbers_;
  CharAutomaton result_;
  size_t edges_ = 0;
};

}  // namespace

absl::StatusOr<CharAutomaton> LimitLength(const CharAutomaton& automaton, uint32_t min,
                                          uint32_t max) {
  if (min == 0 && max == kUnlimited) return automaton;
  return Counted(automaton, min, max).Build();
}

}  // namespace regatta::grammar
