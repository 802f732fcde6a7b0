// Crossing from one level to another; see levels.h.
#include "router/grammar/levels.h"

#include <algorithm>

namespace regatta::grammar {

void Levels::Count(Automaton& automaton, Level& level) {
  ++level.count;
  while (automaton.Info(level.set).next_limit == level.count) {
    level.set = automaton.AtLimit(level.set);
  }
}

Outcome Levels::Cross(Automaton& automaton, Step step, Level& level) {
  if (step.kind == Step::kPush) {
    levels_.push_back(level);
    level = {step.target, 0, size() - 1};
    return Outcome::kGoesOn;
  }
  if (level.below == kNone) {
    level.set = step.target;
    return Outcome::kLeaves;
  }
  level = Return(automaton, levels_[level.below], step.target);
  return Outcome::kGoesOn;
}

void Levels::Keep(Level& top, uint32_t text_size) {
  std::vector<Level> pushed;
  uint32_t index = top.below;
  for (; index != kNone && index >= text_size; index = levels_[index].below) {
    pushed.push_back(levels_[index]);
  }
  levels_.resize(index == kNone ? 0 : index + 1);
  for (auto level = pushed.rbegin(); level != pushed.rend(); ++level) {
    level->below = levels_.empty() ? kNone : size() - 1;
    levels_.push_back(*level);
  }
  top.below = levels_.empty() ? kNone : size() - 1;
}

void Levels::AppendSets(std::vector<SetId*>& sets) {
  for (Level& level : levels_) sets.push_back(&level.set);
}

}  // namespace regatta::grammar
