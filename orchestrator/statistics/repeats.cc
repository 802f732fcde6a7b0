// Medians and intervals over runs; see repeats.h.
#include "orchestrator/statistics/repeats.h"

#include <algorithm>
#include <map>
#include <vector>

#include "orchestrator/statistics/intervals.h"

namespace regatta {
namespace {

struct Headline {
  const char* metric;
  double (*get)(const PointReport&);
  bool streaming = false;
};

constexpr Headline kHeadlines[] = {
    {"request_throughput_req_s",
     [](const PointReport& p) { return p.performance().request_throughput_req_s(); }},
    {"system_output_throughput_tok_s",
     [](const PointReport& p) { return p.performance().system_output_throughput_tok_s(); }},
    {"output_throughput_per_gpu_tok_s",
     [](const PointReport& p) { return p.performance().output_throughput_per_gpu_tok_s(); }},
    {"avg_request_latency_ms",
     [](const PointReport& p) { return p.performance().avg_request_latency_ms(); }},
    {"token_output_speed_tok_s",
     [](const PointReport& p) { return p.streaming_metrics().token_output_speed_tok_s(); }, true},
    {"avg_ttft_ms", [](const PointReport& p) { return p.streaming_metrics().avg_ttft_ms(); }, true},
    {"p95_ttft_ms", [](const PointReport& p) { return p.regatta().p95_ttft_ms(); }, true},
    {"avg_tpot_ms", [](const PointReport& p) { return p.streaming_metrics().avg_tpot_ms(); }, true},
};

using Runs = std::vector<const PointReport*>;

const PointReport& MedianRun(Runs runs) {
  const auto middle = runs.begin() + (runs.size() - 1) / 2;
  std::nth_element(runs.begin(), middle, runs.end(), [](const auto* a, const auto* b) {
    return a->performance().system_output_throughput_tok_s() <
           b->performance().system_output_throughput_tok_s();
  });
  return **middle;
}

PointRepeats Agreement(uint32_t concurrency, const Runs& runs) {
  PointRepeats repeats;
  repeats.set_concurrency(concurrency);
  repeats.set_runs(runs.size());
  if (runs.size() < kRunsForIntervals) return repeats;
  for (const Headline& headline : kHeadlines) {
    if (headline.streaming && !runs[0]->has_streaming_metrics()) continue;
    std::vector<double> values;
    for (const PointReport* run : runs) values.push_back(headline.get(*run));
    *repeats.add_intervals() = *MeanInterval(headline.metric, values);
  }
  return repeats;
}

}  // namespace

void SummarizeRuns(SweepReport& sweep) {
  std::map<uint32_t, Runs> by_concurrency;
  for (const PointReport& run : sweep.runs()) {
    by_concurrency[run.regatta().concurrency()].push_back(&run);
  }
  sweep.clear_points();
  sweep.clear_repeats();
  for (const auto& [concurrency, runs] : by_concurrency) {
    *sweep.add_points() = MedianRun(runs);
    *sweep.add_repeats() = Agreement(concurrency, runs);
  }
}

const Interval* FindInterval(const SweepReport& sweep, uint32_t concurrency, const char* metric) {
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (repeats.concurrency() != concurrency) continue;
    for (const Interval& interval : repeats.intervals()) {
      if (interval.metric() == metric) return &interval;
    }
  }
  return nullptr;
}

}  // namespace regatta
