// Steps within and between levels; see levels.h.
#include "router/grammar/levels.h"

#include <algorithm>

namespace regatta::grammar {

Outcome Levels::Take(Automaton& automaton, Step step, Level& level) {
  switch (step.kind) {
    case Step::kDead:
      return Outcome::kDead;
    case Step::kMove:
      level.set = step.target;
      return Outcome::kGoesOn;
    case Step::kCount:
      level.set = step.target;
      ++level.count;
      while (automaton.Info(level.set).next_limit == level.count) {
        if (automaton.out_of_work()) return Outcome::kDead;
        level.set = automaton.AtLimit(level.set);
      }
      return Outcome::kGoesOn;
    case Step::kPush:
      levels_.push_back(level);
      level = {step.target, 0, size() - 1};
      return Outcome::kGoesOn;
    case Step::kPop:
      if (level.below == kNone) {
        level.set = step.target;
        return Outcome::kLeaves;
      }
      if (!automaton.MayReturn(levels_[level.below].set, step.target)) return Outcome::kDead;
      level = Return(automaton, levels_[level.below], step.target);
      return Outcome::kGoesOn;
  }
  return Outcome::kDead;
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
