// A nondeterministic automaton over the characters of a string, before it is written as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "router/grammar/code_points.h"

namespace regatta::grammar {

struct CharEdge {
  CodePointSet characters;
  uint32_t target;
};

struct CharState {
  std::vector<CharEdge> edges;
  bool accepts = false;
};

// State 0 is the start. No epsilon edges.
struct CharAutomaton {
  std::vector<CharState> states;
};

// Longest pattern, in bytes; most states of one, counted repetitions written out.
inline constexpr size_t kMaxPatternBytes = 4096;
inline constexpr size_t kMaxPatternStates = 4096;
inline constexpr size_t kMaxPatternEdges = 65536;

// The strings that contain a match of `pattern`, as JSON Schema means it: ECMA-262 without flags,
// of which this takes characters, '.', classes, \d \D \w \W \s \S, escapes, groups (named ones
// too), alternatives, quantifiers, '^' in front and '$' at the end of an alternative of the whole
// pattern. INVALID_ARGUMENT says what else was found and where: assertions, back references, \p.
absl::StatusOr<CharAutomaton> CompilePattern(std::string_view pattern);

// The strings of `automaton` that have at least `min` and at most `max` characters (kUnlimited:
// any number), by one copy of each state for every count. INVALID_ARGUMENT when these are more
// than kMaxCountedStates, or have too many edges.
inline constexpr size_t kMaxCountedStates = 20000;
inline constexpr size_t kMaxCountedEdges = 200000;
absl::StatusOr<CharAutomaton> LimitLength(const CharAutomaton& automaton, uint32_t min,
                                          uint32_t max);

}  // namespace regatta::grammar
