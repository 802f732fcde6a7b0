// A running sweep on a terminal: a few lines redrawn in place.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/benchmark/time_left.h"
#include "orchestrator/load/load_options.h"
#include "orchestrator/terminal/status_line.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// What is known at one moment.
struct SweepSnapshot {
  std::string label;  // "[2/5] concurrency 4"
  LoadProgress progress;
  std::optional<TimeLeft> left;
  std::optional<ClusterState> router;  // none without Watch
  // Of the latest moments, oldest first; NaN where nothing was known.
  std::vector<double> tokens_per_s, ttft_p95_ms, tpot_p95_ms;
  SweepReport done;  // points measured so far
};

// One line for each of progress, load, throughput and the latencies that are known, then the
// frontier so far; no line is wider than `columns`. A function of its arguments alone.
std::vector<std::string> RenderSweepScreen(const SweepSnapshot& snapshot, int columns);

// "▁▃█" of the last `columns` values, from zero to the largest; " " for NaN.
std::string Sparkline(const std::vector<double>& values, size_t columns);

// Draws lines over those drawn before. Not for anything but a terminal.
class ScreenRegion {
 public:
  // Writes to `out`, which must outlive it.
  explicit ScreenRegion(std::FILE* out) : out_(out) {}
  ~ScreenRegion() { Clear(); }

  void Draw(const std::vector<std::string>& lines);
  // Removes the lines, so that what follows begins where they did.
  void Clear();

 private:
  std::FILE* const out_;
  size_t lines_ = 0;
};

}  // namespace regatta
