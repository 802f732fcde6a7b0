// Latencies that trtllm-bench does not tell: from the schedule, per chunk, and where a request's
// time went.
#pragma once

#include "orchestrator/statistics/point_samples.h"
#include "proto/results.pb.h"

namespace regatta {

// Fills of `info`, over completed requests (those from t_d where each request says when it was
// due):
//   latency_scheduled_ms = t_n - t_d, ntpot_ms = (t_n - t_0) / n, queue_ms; and with `streaming`
//   ttft_scheduled_ms = t_1 - t_d;
//   icl_ms, gaps between token messages, one sample each; itl_ms, the same gap over the tokens of
//   the message that ends it, one sample for each of these tokens (so that the mean is time over
//   tokens);
//   tokens_per_message, and latency_split where servers tell their times.
// Lengths that the server counts otherwise than tokens arrived are counted.
void FillLatencySeries(const PointSamples& samples, bool streaming, RegattaInfo& info);

}  // namespace regatta
