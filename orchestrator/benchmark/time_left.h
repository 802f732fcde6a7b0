// How long a run still takes, from what it has measured and how its present load goes. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/load/load_options.h"
#include "proto/results.pb.h"

namespace regatta {

// Loads that are not over yet.
struct RunAhead {
  LoadPoint now;                         // under way
  std::vector<LoadPoint> after;          // known to follow
  std::vector<LoadPoint> expected = {};  // will probably follow these
  double beside_s = 0;                   // that will pass between loads
  std::vector<SpeedSample> known;        // of loads that are over
  double max_s_per_point = 0;            // 0 = no limit
};

struct TimeLeft {
  double load_s = 0;                // of the load under way
  std::optional<TimeEstimate> run;  // with all that follows; none where nothing does or is known
  bool about = false;               // some of that is expected only
};

// None before the first request of the load has ended, and when all have.
std::optional<TimeLeft> EstimateTimeLeft(const LoadProgress& progress, const RunAhead& ahead);

// The speed of every run in which a request completed.
std::vector<SpeedSample> SpeedsOf(const SweepReport& sweep);

// "3 min", "3 min to 12 min"; "about 3 min".
std::string FormatRange(const TimeEstimate& estimate, bool about = false);

// "8 points, 400 requests: 3 min to 12 min\n"; "about 8 points, ..." where some are only expected.
std::string FormatAhead(const std::vector<LoadPoint>& points, TimeEstimate estimate,
                        double beside_s, bool about);

}  // namespace regatta
