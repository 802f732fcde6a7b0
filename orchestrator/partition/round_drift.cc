// Rounds against the sweep; see round_drift.h.
#include "orchestrator/partition/round_drift.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/statistics/drift.h"
#include "orchestrator/statistics/intervals.h"
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
const Interval* SpeedInterval(const PointReport& point, const SweepReport& sweep) {
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (IsOf(repeats, point)) return FindInterval(repeats.intervals(), "user_speed_tok_s");
  }
  return nullptr;
}

}  // namespace

std::string RoundDrift(const SweepReport& sweep) {
  std::vector<std::string> drifted;
  for (const PointReport& run : sweep.runs()) {
    const RegattaInfo& info = run.regatta();
    if (info.halving_round() == 0 || !IsSound(run)) continue;
    const PointReport* const again = SweptAgain(run, sweep);
    if (again == nullptr) continue;
    const std::string drift =
        DriftOf({.name = absl::StrCat(ContenderName(info.layout(), info.precision()), " at ",
                                      LoadName(LoadOf(info))),
                 .before = UserSpeed(run),
                 .after = UserSpeed(*again),
                 .when_before = absl::StrCat("in round ", info.halving_round()),
                 .when_after = "in the sweep",
                 .interval = SpeedInterval(*again, sweep)});
    if (!drift.empty()) drifted.push_back(drift);
  }
  const std::string note =
      DriftSentence(drifted, "what the rounds dropped met other conditions than what was swept");
  return note.empty() ? "" : note + ", or sweep all with --rounds 0";
}

}  // namespace regatta
