// Medians and intervals over runs; see repeats.h.
#include "orchestrator/statistics/repeats.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/intervals.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/search_role.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

struct Headline {
  const char* metric;
  double (*get)(const PointReport&);
  bool streaming = false;
  const char* from_due = nullptr;  // the metric where IsFromDue
};

constexpr Headline kHeadlines[] = {
    {"request_throughput_req_s",
     [](const PointReport& p) { return p.performance().request_throughput_req_s(); }},
    {"system_output_throughput_tok_s",
     [](const PointReport& p) { return p.performance().system_output_throughput_tok_s(); }},
    {"output_throughput_per_gpu_tok_s",
     [](const PointReport& p) { return p.performance().output_throughput_per_gpu_tok_s(); }},
    {"avg_request_latency_ms", HeadlineMeanLatencyMs, false, "latency_scheduled_ms.average"},
    {"user_speed_tok_s", DecodingSpeed, true},
    {"avg_ttft_ms", HeadlineMeanTtftMs, true, "ttft_scheduled_ms.average"},
    {"p95_ttft_ms", [](const PointReport& p) { return HeadlineTtft(p).p95(); }, true,
     "ttft_scheduled_ms.p95"},
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

// Layout and precision, as an experiment over them has them.
using Arm = std::pair<std::string, std::string>;

Arm ArmOf(const PointReport& run) { return {run.regatta().layout(), run.regatta().precision()}; }

// The round in which each was measured last; 0 = in full.
std::map<Arm, uint32_t> LastRounds(const SweepReport& sweep) {
  std::map<Arm, uint32_t> rounds;
  for (const PointReport& run : sweep.runs()) rounds[ArmOf(run)] = run.regatta().halving_round();
  return rounds;
}

// Not of a block of drawn order: such runs share what the machine did just then.
bool IsOutOfBlock(const PointReport* run) {
  const std::string& role = run->regatta().search_role();
  return role == kConfirmRole || role == kOverloadRole;
}

// The former is of another server, as it were, the latter was measured again.
bool IsSetAside(const PointReport& run) {
  const std::string& role = run.regatta().search_role();
  return role == kTunedRole || role == kTooShortRole;
}

PointRepeats Agreement(const LoadKey& load, const Runs& runs) {
  PointRepeats repeats;
  repeats.set_request_rate(load.request_rate);
  repeats.set_concurrency(load.concurrency);
  repeats.set_runs(runs.size());
  Runs sound = SoundOf(runs);
  repeats.set_failed_runs(runs.size() - sound.size());
  uint32_t failed = 0;
  for (const PointReport* run : runs) failed += run->regatta().failed_requests();
  repeats.set_failed_requests(failed);
  sound.erase(std::remove_if(sound.begin(), sound.end(), IsOutOfBlock), sound.end());
  if (sound.size() < kRunsForIntervals) return repeats;
  const bool streamed = std::all_of(sound.begin(), sound.end(), [](const PointReport* run) {
    return run->has_streaming_metrics();
  });
  for (const Headline& headline : kHeadlines) {
    if (headline.streaming && !streamed) continue;
    std::vector<double> values;
    for (const PointReport* run : sound) values.push_back(headline.get(*run));
    const bool from_due = headline.from_due != nullptr && IsFromDue(*sound[0]);
    *repeats.add_intervals() =
        *MeanInterval(from_due ? headline.from_due : headline.metric, values);
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

bool IsOf(const PointRepeats& repeats, const PointReport& point) {
  const LoadKey load = LoadOf(point.regatta());
  return repeats.request_rate() == load.request_rate && repeats.concurrency() == load.concurrency &&
         (repeats.layout().empty() || Arm(repeats.layout(), repeats.precision()) == ArmOf(point));
}

std::vector<const PointReport*> RunsOfPoint(const SweepReport& sweep, const PointReport& point) {
  Runs runs;
  for (const PointReport& run : MeasuredRuns(sweep)) {
    const bool same = LoadOf(run.regatta()) == LoadOf(point.regatta()) &&
                      ArmOf(run) == ArmOf(point) &&
                      run.regatta().halving_round() == point.regatta().halving_round();
    if (same && !IsSetAside(run)) runs.push_back(&run);
  }
  return runs;
}

uint32_t FailedRequestsAt(const SweepReport& sweep, const PointReport& point) {
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (IsOf(repeats, point)) return repeats.failed_requests();
  }
  return point.regatta().failed_requests();
}

void SummarizeRuns(SweepReport& sweep) {
  const std::map<Arm, uint32_t> last_rounds = LastRounds(sweep);
  std::map<std::pair<LoadKey, Arm>, Runs> by_load;
  for (const PointReport& run : sweep.runs()) {
    if (IsSetAside(run)) continue;
    const Arm arm = ArmOf(run);
    if (run.regatta().halving_round() != last_rounds.at(arm)) continue;
    by_load[{LoadOf(run.regatta()), arm}].push_back(&run);
  }
  sweep.clear_points();
  sweep.clear_repeats();
  for (const auto& [key, runs] : by_load) {
    const Runs sound = SoundOf(runs);
    *sweep.add_points() = MedianRun(sound.empty() ? runs : sound);
    PointRepeats& repeats = *sweep.add_repeats();
    repeats = Agreement(key.first, runs);
    if (!sweep.has_partition()) continue;
    repeats.set_layout(key.second.first);
    repeats.set_precision(key.second.second);
  }
}

}  // namespace regatta
