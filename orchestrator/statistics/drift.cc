// Speeds held against one another; see drift.h.
#include "orchestrator/statistics/drift.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace regatta {

std::string DriftOf(const MeasuredTwice& speeds) {
  if (speeds.before <= 0) return "";
  const double change = speeds.after / speeds.before - 1;
  const Interval* const interval = speeds.interval;
  const bool chance =
      interval != nullptr && speeds.before >= interval->low() && speeds.before <= interval->high();
  if (std::abs(change) <= kNoticedDrift || chance) return "";
  return absl::StrFormat("%s had %.1f tok/s per user %s, %.1f %s (%+.1f %%)", speeds.name,
                         speeds.before, speeds.when_before, speeds.after, speeds.when_after,
                         change * 100);
}

std::string DriftSentence(const std::vector<std::string>& drifted, const std::string& so) {
  if (drifted.empty()) return "";
  return absl::StrCat("the machine did not stay the same: ", absl::StrJoin(drifted, "; "), "; ", so,
                      ", so look for other load and throttling (`regatta doctor`)");
}

}  // namespace regatta
