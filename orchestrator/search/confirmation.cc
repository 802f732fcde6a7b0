// Best, confirmed, overloaded; see confirmation.h.
#include "orchestrator/search/confirmation.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "orchestrator/search/load_figures.h"

namespace regatta {
namespace {

using LoadRuns = std::vector<const PointReport*>;

bool Has(const LoadRuns& loads, uint32_t concurrency) {
  return std::any_of(loads.begin(), loads.end(), [&](const PointReport* load) {
    return load->regatta().concurrency() == concurrency;
  });
}

// What the smallest load above `concurrency` misses; empty where there is none or it misses
// nothing.
std::string WhatLimits(const Goal& goal, const LoadRuns& loads, uint32_t concurrency) {
  const PointReport* next = nullptr;
  for (const PointReport* load : loads) {
    const uint32_t users = load->regatta().concurrency();
    if (users <= concurrency) continue;
    if (next == nullptr || users < next->regatta().concurrency()) next = load;
  }
  if (next == nullptr) return "";
  const std::string missed = MissedBy(goal, *next);
  return missed.empty() ? "" : absl::StrCat("c=", next->regatta().concurrency(), ": ", missed);
}

// Until one of `loads` is confirmed, or there is none to try.
std::optional<MissingRun> Confirm(const Goal& goal, uint32_t repeats, const SweepReport& sweep,
                                  const LoadRuns& loads, Recommendation& answer) {
  LoadRuns untried = loads;
  while (const PointReport* const best = BestPoint(goal, untried)) {
    untried.erase(std::find(untried.begin(), untried.end(), best));
    const uint32_t users = best->regatta().concurrency();
    const LoadRuns runs = RunsOf(sweep, kConfirmRole, users);
    if (runs.size() < repeats) {
      if (answer.refuted_size() >= kMostConfirmations) continue;
      return MissingRun{users, static_cast<uint32_t>(runs.size() + 1), kConfirmRole};
    }
    const LoadFigures confirmed = FiguresOf(goal, runs);
    if (!confirmed.missed().empty()) {
      *answer.add_refuted() = confirmed;
      continue;
    }
    answer.set_concurrency(users);
    answer.set_limited_by(WhatLimits(goal, loads, users));
    *answer.mutable_predicted() = FiguresOf(goal, {best});
    *answer.mutable_confirmed() = confirmed;
    return std::nullopt;
  }
  answer.set_limited_by(answer.refuted_size() > 0
                            ? "fresh prompts confirmed no load that the search found"
                            : WhatLimits(goal, loads, 0));
  return std::nullopt;
}

}  // namespace

std::vector<const PointReport*> RunsOf(const SweepReport& sweep, const std::string& role,
                                       uint32_t concurrency) {
  std::vector<const PointReport*> runs;
  for (const PointReport& run : sweep.runs()) {
    const RegattaInfo& info = run.regatta();
    if (info.search_role() != role) continue;
    if (concurrency == 0 || info.concurrency() == concurrency) runs.push_back(&run);
  }
  return runs;
}

std::vector<const PointReport*> KnownLoads(const Goal& goal, uint32_t most_users,
                                           const SweepReport& sweep) {
  LoadRuns known;
  const bool largest = goal.kind != Goal::Kind::kThroughput;
  for (const PointReport& run : sweep.runs()) {
    const RegattaInfo& info = run.regatta();
    const bool held = largest && info.search_role() == kOverloadRole &&
                      info.concurrency() <= most_users && MissedBy(goal, run).empty();
    if (info.search_role() == kSearchRole || (held && !Has(known, info.concurrency()))) {
      known.push_back(&run);
    }
  }
  return known;
}

std::vector<uint32_t> OverloadsOf(uint32_t users) {
  const auto quarter = std::max(users + 1, static_cast<uint32_t>(std::lround(1.25 * users)));
  if (quarter == 2 * users) return {quarter};
  return {quarter, 2 * users};
}

std::vector<uint32_t> RunsOfAnswer(uint32_t users, uint32_t repeats, bool apply) {
  std::vector<uint32_t> runs(repeats, users);
  const std::vector<uint32_t> overloads = OverloadsOf(users);
  runs.insert(runs.end(), overloads.begin(), overloads.end());
  const std::vector<uint32_t> once = runs;
  if (apply) runs.insert(runs.end(), once.begin(), once.end());
  return runs;
}

std::optional<MissingRun> FillAnswer(const Goal& goal, uint32_t most_users, uint32_t repeats,
                                     const SweepReport& sweep, Recommendation& answer) {
  answer.Clear();
  answer.set_goal(GoalName(goal));
  answer.set_question(DescribeGoal(goal));
  answer.set_min_user_speed_tok_s(goal.min_user_speed);
  answer.set_max_ttft_ms(goal.max_ttft_ms);
  const LoadRuns loads = KnownLoads(goal, most_users, sweep);
  const std::optional<MissingRun> unconfirmed = Confirm(goal, repeats, sweep, loads, answer);
  if (unconfirmed || answer.concurrency() == 0) return unconfirmed;
  for (const uint32_t users : OverloadsOf(answer.concurrency())) {
    const LoadRuns runs = RunsOf(sweep, kOverloadRole, users);
    if (runs.empty()) return MissingRun{users, 1, kOverloadRole};
    *answer.add_overload() = FiguresOf(goal, runs);
  }
  return std::nullopt;
}

}  // namespace regatta
