// Best, confirmed, overloaded; see confirmation.h.
#include "orchestrator/search/confirmation.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "orchestrator/search/load_figures.h"

namespace regatta {
namespace {

// What fresh prompts found where they refuted that load; null where they did not.
const LoadFigures* Refutation(const Recommendation& answer, uint32_t concurrency) {
  const auto found = std::find_if(
      answer.refuted().begin(), answer.refuted().end(),
      [&](const LoadFigures& figures) { return figures.concurrency() == concurrency; });
  return found == answer.refuted().end() ? nullptr : &*found;
}

// The best load of the search among those that fresh prompts have not refuted.
const PointReport* BestLoad(const Goal& goal, const SweepReport& sweep,
                            const Recommendation& answer) {
  std::vector<const PointReport*> loads = RunsOf(sweep, kSearchRole);
  const auto refuted = [&](const PointReport* load) {
    return Refutation(answer, load->regatta().concurrency()) != nullptr;
  };
  loads.erase(std::remove_if(loads.begin(), loads.end(), refuted), loads.end());
  return BestPoint(goal, loads);
}

// What the smallest searched load above that of the answer misses, or missed with fresh prompts;
// nothing where there is none or it misses nothing.
void NoteLimit(const Goal& goal, const SweepReport& sweep, Recommendation& answer) {
  const PointReport* next = nullptr;
  for (const PointReport* load : RunsOf(sweep, kSearchRole)) {
    const uint32_t users = load->regatta().concurrency();
    if (users <= answer.concurrency()) continue;
    if (next == nullptr || users < next->regatta().concurrency()) next = load;
  }
  if (next == nullptr) return;
  const uint32_t users = next->regatta().concurrency();
  const LoadFigures* const refuted = Refutation(answer, users);
  const Missed missed = refuted == nullptr ? MissedBy(goal, *next)
                                           : Missed{refuted->missed_condition(), refuted->missed()};
  if (missed.empty()) return;
  answer.set_limited_by_condition(missed.condition);
  answer.set_limited_by(absl::StrCat("c=", users, ": ", missed.text,
                                     refuted == nullptr ? "" : " (with fresh prompts)"));
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
    NoteLimit(goal, sweep, answer);
    *answer.mutable_predicted() = FiguresOf(goal, {best});
    *answer.mutable_confirmed() = confirmed;
    return std::nullopt;
  }
  if (answer.refuted_size() > 0) {
    answer.set_limited_by("fresh prompts confirmed no load that the search found");
  } else {
    NoteLimit(goal, sweep, answer);
  }
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
