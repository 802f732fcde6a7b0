// Runs of which everything is known: what the server did and when, kept apart from what a client
// recorded of it, and figures computed from either.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "orchestrator/load/null_engine.h"
#include "orchestrator/statistics/point_samples.h"
#include "proto/results.pb.h"

namespace regatta {

// What the server knows of one request, ns on its clock.
struct ServedRequest {
  int64_t sent_ns = 0;  // by the client
  std::vector<int64_t> message_ns;
  std::vector<uint32_t> message_tokens;

  uint32_t tokens() const;
};

// The figures of requests by their definitions alone, written without the code under test: mean,
// p50 and p99 of each by name, in ms (speed in tok/s).
struct KnownFigure {
  double mean = 0, p50 = 0, p99 = 0;
};
std::map<std::string, KnownFigure> KnownFigures(const std::vector<ServedRequest>& requests);
KnownFigure SummaryOf(std::vector<double> values);
double KnownThroughput(const std::vector<ServedRequest>& requests);

// The same names from a report.
std::map<std::string, KnownFigure> ReportedFigures(const PointReport& report);

struct KnownRun {
  std::vector<ServedRequest> served;
  PointSamples samples;     // as the client recorded them
  double max_delay_ms = 0;  // of any message on its way to the client
};

// `users` that send `rounds` requests of `tokens` tokens each, one after another, to a null engine
// on a simulated clock. A message reaches its client `delay_ns(tag, index)` after it was sent.
KnownRun SimulateClosedLoop(const NullTiming& timing, uint32_t users, uint32_t rounds,
                            uint32_t tokens,
                            const std::function<int64_t(uint64_t, uint32_t)>& delay_ns);

}  // namespace regatta
