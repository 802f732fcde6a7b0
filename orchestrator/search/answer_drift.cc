// Search, confirmation and tuned limits against one another; see answer_drift.h.
#include "orchestrator/search/answer_drift.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/search/confirmation.h"
#include "orchestrator/statistics/drift.h"
#include "orchestrator/statistics/intervals.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/search_role.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

constexpr char kConfirmed[] = "with fresh prompts";
constexpr size_t kRunsOfHalf = 2;  // one alone overlaps with nothing

// `after` are means of a load that had `before` tok/s per user.
std::string DriftTo(const LoadFigures& after, const std::string& when_after, double before,
                    const std::string& when_before) {
  return DriftOf({.name = absl::StrCat("concurrency ", after.concurrency()),
                  .before = before,
                  .after = after.user_speed_tok_s(),
                  .when_before = when_before,
                  .when_after = when_after,
                  .interval = FindInterval(after.intervals(), "user_speed_tok_s")});
}

// Of the runs that confirmed a load, or refuted it, the last half against the first: a machine that
// slows down while they are measured widens the interval that DriftTo asks. Halves that overlap are
// the noise of short runs.
std::string DriftWithin(const SweepReport& sweep, uint32_t users) {
  std::vector<double> speeds;
  for (const PointReport* run : RunsOf(sweep, kConfirmRole, users)) {
    if (UserSpeed(*run) > 0) speeds.push_back(UserSpeed(*run));
  }
  const size_t half = speeds.size() / 2;
  const std::vector<double> first(speeds.begin(), speeds.begin() + half);
  const std::vector<double> last(speeds.end() - half, speeds.end());
  if (half < kRunsOfHalf) return "";
  const auto [first_least, first_most] = std::minmax_element(first.begin(), first.end());
  const auto [last_least, last_most] = std::minmax_element(last.begin(), last.end());
  if (*last_least <= *first_most && *first_least <= *last_most) return "";
  return DriftOf({.name = absl::StrCat("concurrency ", users),
                  .before = Mean(first),
                  .after = Mean(last),
                  .when_before = absl::StrCat("in the first runs ", kConfirmed),
                  .when_after = "in the last of them"});
}

}  // namespace

std::string AnswerDrift(const SweepReport& sweep) {
  const Recommendation& answer = sweep.recommendation();
  std::vector<std::string> drifted;
  const auto add = [&](const std::string& drift) {
    if (!drift.empty()) drifted.push_back(drift);
  };
  std::vector<LoadFigures> again(answer.refuted().begin(), answer.refuted().end());
  if (answer.has_confirmed()) again.push_back(answer.confirmed());
  for (const LoadFigures& figures : again) {
    add(DriftWithin(sweep, figures.concurrency()));
    for (const PointReport* searched : RunsOf(sweep, kSearchRole, figures.concurrency())) {
      add(DriftTo(figures, kConfirmed, UserSpeed(*searched), "in the search"));
    }
  }
  if (answer.applied().has_tuned()) {
    add(DriftTo(answer.applied().tuned(), "under the tuned limits",
                answer.confirmed().user_speed_tok_s(), kConfirmed));
  }
  return DriftSentence(drifted, "this is more than chance or limits explain");
}

}  // namespace regatta
