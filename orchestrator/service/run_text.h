// Runs and points of an orchestrator service as text for a terminal. Pure.
#pragma once

#include <string>

#include "proto/orchestrator.pb.h"

namespace regatta {

// "queued", "running", ...
std::string StateName(RunState state);

// Why there is nothing to fetch or compare of a run: not yet, or, where it has ended, never.
std::string NoResultsText(const RunSummary& run);

// A line per run, newest first, below a line of titles.
std::string RunsText(const ListRunsResponse& runs);

// "concurrency 4: 812.4 tok/s, 203.1 tok/s per user, TTFT p95 12.3 ms, 40 requests, 0 failed".
std::string PointText(const PointReport& point);

// What a client is told of a run: its state, points, figures and what to do next, with
// `service_words` behind the command.
std::string RunText(const RunSummary& run, const std::string& service_words);

}  // namespace regatta
