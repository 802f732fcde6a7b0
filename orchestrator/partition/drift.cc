// Rounds against the sweep; see drift.h.
#include "orchestrator/partition/drift.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

// The point of the sweep that measured what `run` of a round had; null where there is none.
const PointReport* SweptAgain(const PointReport& run, const SweepReport& sweep) {
  const RegattaInfo& info = run.regatta();
  for (const PointReport& point : sweep.points()) {
    const RegattaInfo& other = point.regatta();
    const bool same = other.layout() == info.layout() && other.precision() == info.precision() &&
                      LoadOf(other) == LoadOf(info);
    if (same && other.halving_round() == 0 && IsSound(point)) return &point;
  }
  return nullptr;
}

// Several runs say how far they differ from one another by themselves.
bool WithinInterval(double speed, const PointReport& point, const SweepReport& sweep) {
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (!IsOf(repeats, point)) continue;
    for (const Interval& interval : repeats.intervals()) {
      if (interval.metric() != "user_speed_tok_s") continue;
      return speed >= interval.low() && speed <= interval.high();
    }
  }
  return false;
}

}  // namespace

std::string DriftNote(const SweepReport& sweep) {
  std::vector<std::string> drifted;
  for (const PointReport& run : sweep.runs()) {
    const RegattaInfo& info = run.regatta();
    if (info.halving_round() == 0 || !IsSound(run)) continue;
    const PointReport* const again = SweptAgain(run, sweep);
    const double before = UserSpeed(run);
    if (again == nullptr || before <= 0) continue;
    const double after = UserSpeed(*again), change = after / before - 1;
    if (std::abs(change) <= kNoticedDrift || WithinInterval(before, *again, sweep)) continue;
    drifted.push_back(absl::StrFormat(
        "%s at %s had %.1f tok/s per user in round %d, %.1f in the sweep (%+.1f %%)",
        ContenderName(info.layout(), info.precision()), LoadName(LoadOf(info)), before,
        info.halving_round(), after, change * 100));
  }
  if (drifted.empty()) return "";
  return absl::StrCat("the pool did not stay the same: ", absl::StrJoin(drifted, "; "),
                      "; what the rounds dropped met other conditions than what was swept, so look "
                      "for other load and throttling (`regatta doctor`), or sweep all with "
                      "--rounds 0");
}

}  // namespace regatta
