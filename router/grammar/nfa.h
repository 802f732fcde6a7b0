// A nondeterministic pushdown automaton over the bytes of JSON text. Knows no schemas, no tokens.
//
// JSON shows its nesting: '"', '{' and '[' open something, '"', '}' and ']' close it. So calls of
// rules happen at the openers alone, and whatever alternatives are open, all have the same stack
// height at every byte. That makes the automaton determinisable level by level (automaton.h). By
// the same token how many characters of a string, or commas of an array, have been seen is a fact
// of the text, the same for all alternatives: one count per level is enough for all their limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router/grammar/budget.h"

namespace regatta::grammar {

using StateId = uint32_t;
using RuleId = uint32_t;
inline constexpr uint32_t kNone = ~uint32_t{0};
inline constexpr uint32_t kUnlimited = ~uint32_t{0};

struct ByteEdge {
  uint8_t low;
  uint8_t high;
  StateId target;
};

// After the rule's opener, the rule's own bytes and its closer, one is at `target`.
struct CallEdge {
  RuleId rule;
  StateId target;
};

struct NfaState {
  std::vector<ByteEdge> edges;
  std::vector<CallEdge> calls;
  std::vector<StateId> epsilons;
  StateId white_space = kNone;  // Where white space leads; kNone: none may come.
  RuleId completes = kNone;     // The rule that ends here, its closer taken.
  bool counts = false;          // Arriving here by a byte adds one to the level's count.
  // Where the count has reached `limit` on arrival, one is at `at_limit` instead. Such a state has
  // no epsilon edges.
  uint32_t limit = kUnlimited;
  StateId at_limit = kNone;
  uint32_t level_limit = kUnlimited;  // Smallest limit that this level may still meet from here.
  bool free_text = false;  // Any plain character may come and leads back here, up to `max_count`.
  uint32_t max_count = kUnlimited;
};

// The bytes between an opener and its closer, the closer included.
struct Rule {
  uint8_t opener;  // '"', '{' or '['.
  StateId start;
};

struct Nfa {
  std::vector<NfaState> states;
  std::vector<Rule> rules;
  StateId start = kNone;
  StateId end = kNone;  // A whole document ends here.

  size_t bytes() const;
};

// Adds states and edges. Once the budget is spent it adds nothing more and returns state 0.
class NfaBuilder {
 public:
  explicit NfaBuilder(Budget& budget) : budget_(budget) { nfa_.states.emplace_back(); }

  StateId AddState();
  // A rule without bytes yet. Its end state is where the closer must lead.
  RuleId AddRule(uint8_t opener);
  uint8_t RuleOpener(RuleId rule) const { return nfa_.rules[rule].opener; }
  StateId RuleStart(RuleId rule) const { return nfa_.rules[rule].start; }
  StateId RuleEnd(RuleId rule) const { return rule_ends_[rule]; }

  void AddByte(StateId from, uint8_t byte, StateId to) { AddRange(from, byte, byte, to); }
  void AddRange(StateId from, uint8_t low, uint8_t high, StateId to);
  // `bytes` one after the other.
  void AddBytes(StateId from, const char* bytes, size_t count, StateId to);
  void AddEpsilon(StateId from, StateId to) { At(from).epsilons.push_back(to); }
  void AddCall(StateId from, RuleId rule, StateId to) { At(from).calls.push_back({rule, to}); }
  NfaState& At(StateId state) { return nfa_.states[state]; }
  Budget& budget() { return budget_; }

  // The automaton from `start` to `end`, without whatever cannot reach an end, so that no prefix
  // is a dead end. A start that cannot reach `end` has no edges then.
  Nfa Finish(StateId start, StateId end) &&;

 private:
  Budget& budget_;
  Nfa nfa_;
  std::vector<StateId> rule_ends_;
};

}  // namespace regatta::grammar
