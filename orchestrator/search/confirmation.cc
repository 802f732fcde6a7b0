// Best, confirmed, overloaded; see confirmation.h.
#include "orchestrator/search/confirmation.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "orchestrator/search/load_figures.h"

namespace regatta {
namespace {

// The best load of the search among those that fresh prompts have not refuted.
const PointReport* BestLoad(const Goal& goal, const SweepReport& sweep,
                            const Recommendation& answer) {
  std::vector<const PointReport*> loads = RunsOf(sweep, kSearchRole);
  const auto refuted = [&](const PointReport* load) {
    return std::any_of(answer.refuted().begin(), answer.refuted().end(), [&](const auto& figures) {
      return figures.concurrency() == load->regatta().concurrency();
    });
  };
  loads.erase(std::remove_if(loads.begin(), loads.end(), refuted), loads.end());
  return BestPoint(goal, loads);
}

// What the smallest load above `concurrency` misses; empty where there is none or it misses
// nothing.
std::string WhatLimits(const Goal& goal, const SweepReport& sweep, uint32_t concurrency) {
  const PointReport* next = nullptr;
  for (const PointReport* load : RunsOf(sweep, kSearchRole)) {
    const uint32_t users = load->regatta().concurrency();
    if (users <= concurrency) continue;
    if (next == nullptr || users < next->regatta().concurrency()) next = load;
  }
  if (next == nullptr) return "";
  const std::string missed = MissedBy(goal, *next);
  return missed.empty() ? "" : absl::StrCat("c=", next->regatta().concurrency(), ": ", missed);
}

// Until a load is confirmed, or there is none to try.
std::optional<MissingRun> Confirm(const Goal& goal, uint32_t repeats, const SweepReport& sweep,
                                  Recommendation& answer) {
  while (answer.refuted_size() < kMostConfirmations) {
    const PointReport* const best = BestLoad(goal, sweep, answer);
    if (best == nullptr) break;
    const uint32_t users = best->regatta().concurrency();
    const std::vector<const PointReport*> runs = RunsOf(sweep, kConfirmRole, users);
    if (runs.size() < repeats) {
      return MissingRun{users, static_cast<uint32_t>(runs.size() + 1), kConfirmRole};
    }
    const LoadFigures confirmed = FiguresOf(goal, runs);
    if (!confirmed.missed().empty()) {
      *answer.add_refuted() = confirmed;
      continue;
    }
    answer.set_concurrency(users);
    answer.set_limited_by(WhatLimits(goal, sweep, users));
    *answer.mutable_predicted() = FiguresOf(goal, {best});
    *answer.mutable_confirmed() = confirmed;
    return std::nullopt;
  }
  answer.set_limited_by(answer.refuted_size() > 0
                            ? "fresh prompts confirmed no load that the search found"
                            : WhatLimits(goal, sweep, 0));
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

std::optional<MissingRun> FillAnswer(const Goal& goal, uint32_t repeats, const SweepReport& sweep,
                                     Recommendation& answer) {
  answer.Clear();
  answer.set_goal(GoalName(goal));
  answer.set_question(DescribeGoal(goal));
  answer.set_min_user_speed_tok_s(goal.min_user_speed);
  answer.set_max_ttft_ms(goal.max_ttft_ms);
  const std::optional<MissingRun> unconfirmed = Confirm(goal, repeats, sweep, answer);
  if (unconfirmed || answer.concurrency() == 0) return unconfirmed;
  for (const uint32_t users : OverloadsOf(answer.concurrency())) {
    const std::vector<const PointReport*> runs = RunsOf(sweep, kOverloadRole, users);
    if (runs.empty()) return MissingRun{users, 1, kOverloadRole};
    *answer.add_overload() = FiguresOf(goal, runs);
  }
  return std::nullopt;
}

}  // namespace regatta
