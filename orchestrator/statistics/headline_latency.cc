// From when due or from when sent; see headline_latency.h.
#include "orchestrator/statistics/headline_latency.h"

#include "orchestrator/statistics/load_name.h"

namespace regatta {

bool IsFromDue(const RegattaInfo& info) {
  return HasSchedule(LoadOf(info)) && info.has_latency_scheduled_ms();
}

bool IsFromDue(const PointReport& point) { return IsFromDue(point.regatta()); }

const Percentiles& HeadlineTtft(const PointReport& point) {
  return IsFromDue(point) ? point.regatta().ttft_scheduled_ms()
                          : point.streaming_metrics().ttft_percentiles();
}

const Percentiles& HeadlineLatency(const PointReport& point) {
  return IsFromDue(point) ? point.regatta().latency_scheduled_ms()
                          : point.performance().request_latency_percentiles_ms();
}

double HeadlineMeanTtftMs(const PointReport& point) {
  return IsFromDue(point) ? HeadlineTtft(point).average() : point.streaming_metrics().avg_ttft_ms();
}

double HeadlineMeanLatencyMs(const PointReport& point) {
  return IsFromDue(point) ? HeadlineLatency(point).average()
                          : point.performance().avg_request_latency_ms();
}

const char* HeadlineTtftName(const PointReport& point) {
  return IsFromDue(point) ? "TTFT from when due" : "TTFT";
}

}  // namespace regatta
