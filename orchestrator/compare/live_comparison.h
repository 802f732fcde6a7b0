// Measures two systems at once, run by run in turn, so that whatever drifts on the machine meets
// both alike.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/compare/comparison.h"

namespace regatta {

// INVALID_ARGUMENT where both sides are one server, whatever way its address is written, under one
// cache salt, and its prefix cache is used (over HTTP it cannot be switched off): it would know the
// prompts of the one that comes second.
absl::Status CheckCachesApart(const BenchmarkOptions& a, const BenchmarkOptions& b);

struct LiveSide {
  BenchmarkOptions options;        // of its own: url or cluster to be launched
  std::vector<std::string> flags;  // --name=value, for its journal
  std::string configuration;       // every flag with its value
};

struct LivePlan {
  LiveSide a, b;
  std::vector<LoadPoint> points;  // of both
  std::string output;             // parent of the comparison's directory
  std::string command_line;       // that repeats it
};

struct LiveRuns {
  std::string directory;  // with a/ and b/, a run's directory in each
  ComparedRun a, b;
  uint32_t failed_requests = 0;
  // Why it ended early; what both have by then can be compared. OK when stopped by Ctrl-C.
  absl::Status status;
};

// Opens both, then measures every point as often as a.options.repeats says: the points in an order
// drawn anew for each repeat, at each point A and B one right after the other with the same
// prompts, odd repeats A first and even ones B first. A B B A ... cancels a linear drift; only one
// of them has load at a time. INVALID_ARGUMENT as CheckCachesApart says.
absl::StatusOr<LiveRuns> MeasureInTurn(const LivePlan& plan, const std::atomic<bool>& stop);

}  // namespace regatta
