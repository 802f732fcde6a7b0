// Which latencies stand for a point wherever it is shown in few figures: tables, charts, verdicts.
#pragma once

#include "proto/results.pb.h"

namespace regatta {

// Whether a point's latencies are counted from when its requests were due: a rate or a trace says
// when users come, and what they wait in the client for others to end they wait as well. Those of
// users who wait for their own last answer are counted from when they were sent, and so are those
// of results that do not know the schedule.
bool IsFromDue(const RegattaInfo& info);
bool IsFromDue(const PointReport& point);

// RegattaInfo.ttft_scheduled_ms where IsFromDue, else StreamingMetrics.ttft_percentiles.
const Percentiles& HeadlineTtft(const PointReport& point);

// RegattaInfo.latency_scheduled_ms where IsFromDue, else
// Performance.request_latency_percentiles_ms.
const Percentiles& HeadlineLatency(const PointReport& point);

// Their means, of results that tell no percentiles too.
double HeadlineMeanTtftMs(const PointReport& point);
double HeadlineMeanLatencyMs(const PointReport& point);

// "TTFT", "TTFT from when due": what HeadlineTtft is.
const char* HeadlineTtftName(const PointReport& point);

}  // namespace regatta
