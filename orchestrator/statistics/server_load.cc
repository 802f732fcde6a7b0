// Means over a span; see server_load.h.
#include "orchestrator/statistics/server_load.h"

#include <algorithm>
#include <limits>

#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/request_times.h"

namespace regatta {
namespace {

// When its server began to run it; messages on their way back are part of no phase of the server's.
double AdmittedMs(const RequestRecord& r) {
  return std::max(r.sent_ms(), r.last_token_ms() - r.prefill_ms() - r.decode_ms());
}

TimeSpan WholeRun(const std::vector<RequestRecord>& requests) {
  TimeSpan span = {std::numeric_limits<double>::max(), 0};
  for (const RequestRecord& r : requests) {
    if (!Completed(r)) continue;
    span.start_ms = std::min(span.start_ms, r.sent_ms());
    span.end_ms = std::max(span.end_ms, r.last_token_ms());
  }
  return span;
}

}  // namespace

double TimeSpan::Within(double from_ms, double to_ms) const {
  return std::max(0.0, std::min(to_ms, end_ms) - std::max(from_ms, start_ms));
}

bool TellsEveryRequest(const std::vector<RequestRecord>& requests) {
  return std::all_of(requests.begin(), requests.end(), [](const RequestRecord& r) {
    return r.has_prefill_ms() && r.has_decode_ms() && r.preemptions() == 0;
  });
}

double MeanRunning(const std::vector<RequestRecord>& requests, const TimeSpan& span) {
  double total_ms = 0;
  for (const RequestRecord& r : requests) {
    total_ms += span.Within(AdmittedMs(r), r.last_token_ms());
  }
  return Ratio(total_ms, span.length_ms());
}

double MeanWaiting(const std::vector<RequestRecord>& requests, const TimeSpan& span) {
  double total_ms = 0;
  for (const RequestRecord& r : requests) {
    const double admitted_ms = AdmittedMs(r);
    total_ms += span.Within(std::max(r.sent_ms(), admitted_ms - r.queue_ms()), admitted_ms);
  }
  return Ratio(total_ms, span.length_ms());
}

double MeanInFlight(const std::vector<RequestRecord>& requests, const TimeSpan& span) {
  double total_ms = 0;
  for (const RequestRecord& r : requests) total_ms += span.Within(r.sent_ms(), r.last_token_ms());
  return Ratio(total_ms, span.length_ms());
}

StateMeans AverageStates(const PointTimeline& timeline, const TimeSpan& span) {
  StateMeans sums;
  double covered_ms = 0;
  for (int i = 0; i + 1 < timeline.router_ms_size(); ++i) {
    const double part_ms = span.Within(timeline.router_ms(i), timeline.router_ms(i + 1));
    if (part_ms <= 0) continue;
    ++sums.states;
    covered_ms += part_ms;
    sums.running += part_ms * timeline.running(i);
    sums.waiting += part_ms * timeline.waiting(i);
    sums.kv_usage += part_ms * timeline.kv_usage(i);
  }
  return {sums.states, Ratio(sums.running, covered_ms), Ratio(sums.waiting, covered_ms),
          Ratio(sums.kv_usage, covered_ms)};
}

void NoteServerLoad(const std::vector<RequestRecord>& requests, const PointTimeline& timeline,
                    RegattaInfo& info) {
  const TimeSpan span = WholeRun(requests);
  if (span.length_ms() <= 0) return;
  const StateMeans states = AverageStates(timeline, span);
  const bool told = TellsEveryRequest(requests);
  info.set_mean_running(told ? MeanRunning(requests, span) : states.running);
  info.set_mean_waiting(told ? MeanWaiting(requests, span) : states.waiting);
  info.set_mean_kv_usage(states.kv_usage);
}

}  // namespace regatta
