// Runs that are set aside; see lengthening.h.
#include "orchestrator/search/lengthening.h"

#include <algorithm>

#include "orchestrator/search/confirmation.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

// The largest load that was measured for the search, up to `concurrency`.
uint32_t SearchedUpTo(const SweepReport& sweep, uint32_t concurrency) {
  uint32_t largest = 0;
  for (const char* role : {kSearchRole, kTooShortRole}) {
    for (const PointReport* run : RunsOf(sweep, role)) {
      const uint32_t users = run->regatta().concurrency();
      if (users <= concurrency) largest = std::max(largest, users);
    }
  }
  return largest;
}

}  // namespace

uint32_t LengthFactor(const SweepReport& sweep, uint32_t concurrency) {
  const uint32_t searched = SearchedUpTo(sweep, concurrency);
  return searched == 0 ? 1 : 1u << (2 * RunsOf(sweep, kTooShortRole, searched).size());
}

bool SetAsideTooShort(absl::Span<const Goal> goals, SweepReport& sweep) {
  if (sweep.runs_size() == 0) return false;
  RegattaInfo& info = *sweep.mutable_runs(sweep.runs_size() - 1)->mutable_regatta();
  if (info.search_role() != kSearchRole) return false;
  const PointReport& run = sweep.runs(sweep.runs_size() - 1);
  const bool untold = std::any_of(goals.begin(), goals.end(),
                                  [&](const Goal& goal) { return OnlyTooShort(goal, run); });
  if (!untold || RunsOf(sweep, kTooShortRole, info.concurrency()).size() >= kMostLengthenings) {
    return false;
  }
  info.set_search_role(kTooShortRole);
  SummarizeRuns(sweep);
  return true;
}

}  // namespace regatta
