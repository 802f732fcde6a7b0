// Medians and intervals over runs; see repeats.h.
#include "orchestrator/statistics/repeats.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "orchestrator/statistics/intervals.h"
#include "orchestrator/statistics/load_name.h"

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

Runs SoundOf(const Runs& runs) {
  Runs sound;
  std::copy_if(runs.begin(), runs.end(), std::back_inserter(sound),
               [](const PointReport* run) { return IsSound(*run); });
  return sound;
}

PointRepeats Agreement(const LoadKey& load, const Runs& runs) {
  PointRepeats repeats;
  repeats.set_request_rate(load.first);
  repeats.set_concurrency(load.second);
  repeats.set_runs(runs.size());
  const Runs sound = SoundOf(runs);
  repeats.set_failed_runs(runs.size() - sound.size());
  uint32_t failed = 0;
  for (const PointReport* run : runs) failed += run->regatta().failed_requests();
  repeats.set_failed_requests(failed);
  if (sound.size() < kRunsForIntervals) return repeats;
  for (const Headline& headline : kHeadlines) {
    if (headline.streaming && !sound[0]->has_streaming_metrics()) continue;
    std::vector<double> values;
    for (const PointReport* run : sound) values.push_back(headline.get(*run));
    *repeats.add_intervals() = *MeanInterval(headline.metric, values);
  }
  return repeats;
}

}  // namespace

const google::protobuf::RepeatedPtrField<PointReport>& MeasuredRuns(const SweepReport& sweep) {
  return sweep.runs_size() > 0 ? sweep.runs() : sweep.points();
}

bool IsSound(const PointReport& run) {
  return run.regatta().failed_requests() == 0 && run.request_info().num_requests() > 0;
}

void SummarizeRuns(SweepReport& sweep) {
  std::map<LoadKey, Runs> by_load;
  for (const PointReport& run : sweep.runs()) {
    if (run.regatta().search_role() == kTunedRole) continue;  // another server, as it were
    by_load[LoadOf(run.regatta())].push_back(&run);
  }
  sweep.clear_points();
  sweep.clear_repeats();
  for (const auto& [load, runs] : by_load) {
    const Runs sound = SoundOf(runs);
    *sweep.add_points() = MedianRun(sound.empty() ? runs : sound);
    *sweep.add_repeats() = Agreement(load, runs);
  }
}

}  // namespace regatta
