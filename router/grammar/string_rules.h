// Rules for JSON strings, added to an automaton once each. Knows characters and escapes, no
// schemas.
//
// Free text may use every escape of JSON (a lone surrogate may not come). Where the text is
// compared with something (literals, patterns, names of properties) each character has one
// spelling: itself, or for '"', '\' and control characters the shortest escape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "router/grammar/char_automaton.h"
#include "router/grammar/nfa.h"

namespace regatta::grammar {

class StringRules {
 public:
  explicit StringRules(NfaBuilder& nfa) : nfa_(nfa) {}

  // Any string of `min` to `max` code points (kUnlimited: any number).
  RuleId Text(uint32_t min, uint32_t max);
  // The strings that `automaton` accepts. `name` tells equal automata.
  RuleId Matching(const CharAutomaton& automaton, const std::string& name);
  // Exactly these strings.
  RuleId OneOf(absl::Span<const std::string> texts);
  // Every string but these.
  RuleId NoneOf(absl::Span<const std::string> texts);

 private:
  // Strings as a tree of characters; node 0 is the empty one.
  struct Tree {
    struct Node {
      std::vector<std::pair<uint32_t, uint32_t>> children;  // Code point, node.
      bool is_text = false;
    };
    std::vector<Node> nodes;
  };

  static Tree MakeTree(absl::Span<const std::string> texts);
  // One spelling of each of `characters` from `from` to `to`.
  void WriteCharacters(StateId from, const CodePointSet& characters, StateId to);
  // Any spelling of any one character.
  void WriteAnyCharacter(StateId from, StateId to);
  void WriteAnyEscape(StateId escape, StateId to);
  // A state before `to` that takes low..high; the same one for the same arguments.
  StateId Before(uint8_t low, uint8_t high, StateId to);
  // The state after a backslash that may spell those of `specials`, a bit per entry of kSpecials.
  StateId Escaped(uint64_t specials, StateId to);
  void Close(StateId from, RuleId rule) { nfa_.AddByte(from, '"', nfa_.RuleEnd(rule)); }

  NfaBuilder& nfa_;
  absl::flat_hash_map<std::tuple<uint8_t, uint8_t, StateId>, StateId> before_;
  absl::flat_hash_map<std::pair<uint64_t, StateId>, StateId> escaped_;
  absl::flat_hash_map<std::pair<uint32_t, uint32_t>, RuleId> texts_;
  absl::flat_hash_map<std::string, RuleId> named_;
};

}  // namespace regatta::grammar
