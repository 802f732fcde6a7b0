// Walks over the tokens' tree; see token_masks.h.
#include "router/grammar/token_masks.h"

#include <algorithm>
#include <utility>

#include "router/grammar/output_constraint.h"

namespace regatta::grammar {

bool TokenMasks::FarFromLimits(const Automaton& automaton, const Level& level, uint32_t bytes) {
  const uint32_t limit = automaton.Info(level.set).level_limit;
  return limit == kUnlimited || (limit > level.count && limit - level.count > bytes);
}

TokenMasks::Plan TokenMasks::MakePlan(const Automaton& automaton, const Level& level) const {
  const Automaton::SetInfo& info = automaton.Info(level.set);
  Plan plan{0, &tokens_.all(), false};
  if (info.free_text_max > level.count) {
    const uint32_t left =
        info.free_text_max == kUnlimited ? kUnlimited : info.free_text_max - level.count;
    // Other strings beside the free text may be longer than it.
    if (info.only_free_text || left >= tokens_.all().max_depth()) {
      plan = {left, &tokens_.not_plain(), false};
    }
  }
  plan.keep = FarFromLimits(automaton, level, plan.trie->max_depth());
  return plan;
}

template <typename Make>
const TokenMasks::Part& TokenMasks::Get(Parts& kept, uint64_t key, bool keep,
                                        const Automaton& automaton, Make make) {
  Part& scratch = scratch_[&kept == &exit_parts_];
  if (keep) {
    if (auto found = kept.find(key); found != kept.end()) return *found->second;
  }
  scratch.tokens.clear();
  scratch.mask.clear();
  scratch.exits.clear();
  make(scratch);
  if (!keep || automaton.out_of_work() || cut()) return scratch;
  auto part = std::make_unique<const Part>(scratch);
  bytes_ += part->bytes();
  return *(kept[key] = std::move(part));
}

const TokenMasks::Part& TokenMasks::GetTop(Automaton& automaton, Levels& levels, const Plan& plan,
                                           const Level& top) {
  return Get(top_parts_, Key(plan, top.set), plan.keep, automaton, [&](Part& made) {
    Walk(automaton, levels, *plan.trie, 0, plan.trie->size(), 0, {top.set, top.count, kNone}, made);
  });
}

void TokenMasks::Prepare(Automaton& automaton, Levels& levels, SetId set) {
  nodes_allowed_ = nodes_left_ = kAnyMaskWork;
  const Level top = {set, 0, kNone};
  const Plan plan = MakePlan(automaton, top);
  if (plan.keep) GetTop(automaton, levels, plan, top);
}

void TokenMasks::Fill(Automaton& automaton, Levels& levels, const Level& top, uint64_t nodes,
                      absl::Span<uint32_t> mask) {
  nodes_allowed_ = nodes_left_ = std::max<uint64_t>(nodes, 1);
  const Plan plan = MakePlan(automaton, top);
  if (plan.plain > 0) {
    tokens_.SetPlain(plan.plain, mask);
  } else {
    std::fill(mask.begin(), mask.end(), 0);
  }
  const Part& part = GetTop(automaton, levels, plan, top);
  Apply(part, mask);
  if (part.exits.empty()) return;
  const Level below = levels[top.below];
  const bool keep = plan.keep && FarFromLimits(automaton, below, plan.trie->max_depth());
  const Part& after =
      Get(exit_parts_, Key(plan, top.set) << 31 | below.set, keep, automaton, [&](Part& made) {
        WalkExits(automaton, levels, *plan.trie, part.exits, {below.set, below.count, kNone}, made);
      });
  Apply(after, mask);
  if (after.exits.empty()) return;
  Part& rest = scratch_[2];
  rest.tokens.clear();
  rest.mask.clear();
  WalkExits(automaton, levels, *plan.trie, after.exits, levels[below.below], rest);
  Apply(rest, mask);
}

void TokenMasks::Walk(Automaton& automaton, Levels& levels, const TokenTrie& trie, uint32_t first,
                      uint32_t last, uint32_t depth, const Level& start, Part& part) {
  const uint32_t size = levels.size();
  if (sets_.size() <= trie.max_depth()) {
    sets_.resize(trie.max_depth() + size_t{1});
    rest_of_.resize(sets_.size());
  }
  rests_ = {{start.count, start.below, size}};
  uint32_t *const sets = sets_.data(), *const rest_of = rest_of_.data();
  sets[depth] = start.set;
  rest_of[depth] = 0;
  for (uint32_t i = first; i < last && nodes_left_ > 0; --nodes_left_) {
    const TokenTrie::Node& node = trie[i];
    const Place place = {sets[node.depth - 1], rest_of[node.depth - 1]};
    if (SetId next; automaton.Moves(place.set, node.byte, next)) {
      if (next == place.set && (node.kinds & ~automaton.LoopKinds(next)) == 0) {
        Add(trie.TokensFrom(i), part);
        i = node.end;
        continue;
      }
      sets[node.depth] = next;
      rest_of[node.depth] = place.rest;
    } else {
      Place crossed = place;
      const Outcome outcome = Cross(automaton, levels, node.byte, crossed);
      if (outcome == Outcome::kLeaves) part.exits.push_back({i, crossed.set});
      if (outcome != Outcome::kGoesOn) {
        i = node.end;
        continue;
      }
      sets[node.depth] = crossed.set;
      rest_of[node.depth] = crossed.rest;
    }
    Add(trie.TokensAt(i), part);
    ++i;
  }
  levels.Restore(size);
}

Outcome TokenMasks::Cross(Automaton& automaton, Levels& levels, uint8_t byte, Place& place) {
  const Step step = automaton.Next(place.set, byte);
  if (step.kind == Step::kDead) return Outcome::kDead;
  const Rest& rest = rests_[place.rest];
  levels.Restore(rest.levels);
  Level level = {place.set, rest.count, rest.below};
  const Outcome outcome = levels.Take(automaton, step, level);
  // Those of deeper places that the walk has left.
  rests_.resize(place.rest + size_t{1});
  rests_.push_back({level.count, level.below, levels.size()});
  place = {level.set, place.rest + 1};
  return outcome;
}

void TokenMasks::WalkExits(Automaton& automaton, Levels& levels, const TokenTrie& trie,
                           absl::Span<const Exit> exits, Level below, Part& part) {
  for (const Exit& exit : exits) {
    const TokenTrie::Node& node = trie[exit.node];
    Add(trie.TokensAt(exit.node), part);
    if (node.end == exit.node + 1) continue;
    if (!automaton.MayReturn(below.set, exit.complete)) continue;
    Walk(automaton, levels, trie, exit.node + 1, node.end, node.depth,
         Levels::Return(automaton, below, exit.complete), part);
  }
}

void TokenMasks::Add(absl::Span<const uint32_t> tokens, Part& part) const {
  for (uint32_t token : tokens) {
    if (part.mask.empty()) {
      part.tokens.push_back(token);
      if (part.tokens.size() <= tokens_.mask_words()) continue;
      part.mask.assign(tokens_.mask_words(), 0);
      for (uint32_t listed : part.tokens) part.mask[listed / 32] |= uint32_t{1} << listed % 32;
      part.tokens.clear();
    } else {
      part.mask[token / 32] |= uint32_t{1} << token % 32;
    }
  }
}

void TokenMasks::Apply(const Part& part, absl::Span<uint32_t> mask) {
  for (size_t i = 0; i < part.mask.size(); ++i) mask[i] |= part.mask[i];
  for (uint32_t token : part.tokens) mask[token / 32] |= uint32_t{1} << token % 32;
}

void TokenMasks::Clear() {
  top_parts_.clear();
  exit_parts_.clear();
  bytes_ = 0;
}

}  // namespace regatta::grammar
