// What a person sees of a running load point: a region redrawn in place on a terminal, a line now
// and then elsewhere.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "orchestrator/benchmark/time_left.h"
#include "orchestrator/cluster/cluster_monitor.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/terminal/progress_line.h"
#include "orchestrator/terminal/sweep_screen.h"
#include "proto/results.pb.h"

namespace regatta {

class RunDisplay {
 public:
  // Writes to `out`, which must outlive it.
  explicit RunDisplay(std::FILE* out) : out_(out), line_(out), screen_(out) {}

  // `done` holds the points measured so far, `ahead` what is left.
  void Show(const std::string& label, const LoadProgress& now, const ClusterMonitor& monitor,
            const SweepReport& done, const RunAhead& ahead);
  // What follows begins on a clean line.
  void Hide();

 private:
  std::FILE* const out_;
  ProgressLine line_;
  ScreenRegion screen_;
  // Of the latest moments of this load.
  std::vector<double> tokens_per_s_, ttft_p95_ms_, tpot_p95_ms_;
};

}  // namespace regatta
