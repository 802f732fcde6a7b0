// Where a text stands: the open levels of the automaton and their counts, one stack for the text
// and any number of tried continuations of it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router/grammar/automaton.h"

namespace regatta::grammar {

// A level and, by index into Levels, the one below. A level below is as it was when it was left.
struct Level {
  SetId set;
  uint32_t count;  // Characters of a string, commas of an array.
  uint32_t below;  // kNone: the lowest, or the lowest one known.
};

enum class Outcome {
  kDead,
  kGoesOn,
  kLeaves,  // The lowest level known is complete.
};

// Levels below the current ones. Continuations push behind those of the text; Keep makes one of
// them the text, Restore drops what was pushed.
class Levels {
 public:
  const Level& operator[](uint32_t index) const { return levels_[index]; }

  // Moves `level` by one byte. After kLeaves `level.set` is what is complete.
  Outcome Advance(Automaton& automaton, uint8_t byte, Level& level) {
    return Take(automaton, automaton.Next(level.set, byte), level);
  }
  // Takes a step of `level.set`.
  Outcome Take(Automaton& automaton, Step step, Level& level);

  // `below` when `complete`, on top of it, is complete.
  static Level Return(Automaton& automaton, const Level& below, SetId complete) {
    return {automaton.Return(below.set, complete), below.count, below.below};
  }

  uint32_t size() const { return static_cast<uint32_t>(levels_.size()); }
  void Restore(uint32_t size) {
    if (size != levels_.size()) levels_.resize(size);
  }
  // Keeps those below `top` alone, bottom first. Those under index `text_size` are in that order.
  void Keep(Level& top, uint32_t text_size);
  // Adds the sets to `sets`.
  void AppendSets(std::vector<SetId*>& sets);

 private:
  std::vector<Level> levels_;
};

}  // namespace regatta::grammar
