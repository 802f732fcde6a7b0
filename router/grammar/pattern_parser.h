// The syntax of patterns: a tree of characters, sequences, alternatives and repetitions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "router/grammar/code_points.h"

namespace regatta::grammar {

struct PatternTree {
  enum Kind { kCharacters, kSequence, kAlternatives, kRepeat };
  static constexpr uint32_t kNoMax = ~uint32_t{0};

  Kind kind = kSequence;
  CodePointSet characters;         // kCharacters.
  std::vector<PatternTree> parts;  // Of a sequence or of alternatives; the one that is repeated.
  uint32_t min = 0;                // kRepeat.
  uint32_t max = kNoMax;
};

struct AnchoredPattern {
  bool at_start = false;
  bool at_end = false;
  PatternTree tree;
};

// Deepest nesting of groups, and highest count of a repetition.
inline constexpr int kMaxPatternDepth = 50;
inline constexpr uint32_t kMaxPatternRepeat = 4096;

// The alternatives of `pattern`. INVALID_ARGUMENT names what is wrong or not supported, and the
// byte at which it stands.
absl::StatusOr<std::vector<AnchoredPattern>> ParsePattern(std::string_view pattern);

}  // namespace regatta::grammar
