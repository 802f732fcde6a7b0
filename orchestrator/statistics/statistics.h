// What a load point's raw records say: percentiles and trtllm-bench's metrics. Pure arithmetic;
// knows no clock, RPC or file.
#pragma once

#include "orchestrator/statistics/point_samples.h"
#include "orchestrator/statistics/quantiles.h"
#include "proto/results.pb.h"

namespace regatta {

// Completes `context`, which brings engine, machine, world_info (without issue_rate),
// dataset.dataset_path and what only the caller knows under `regatta` (concurrency, streaming,
// device, cluster state, warnings; where wanted also the objectives of goodput, the price of cost,
// seconds and GPUs of energy).
//
// With n output tokens, start = sent, end = last token of each completed request and T = last end -
// first start:
//   throughputs are counts / T; per-GPU is divided by world_size; latency = end - start; TTFT =
//   first token - start; TPOT = (latency - TTFT)/(n-1); user speed = (n-1)/(latency - TTFT); user
//   throughput = n / latency; concurrency = sum of latencies / T (Little). Means are over requests.
//   Sources: trtllm-bench reporting.py and statistics.py.
// Beyond trtllm-bench's: latencies from the schedule, per chunk and split (latency_series.h), the
// steady window, intervals within the run, certified tails, goodput, energy and cost.
// With the protocol "trtllm-bench" percentiles of these are that tool's (SummarizeBySample), and a
// single token has a TPOT and a speed of 0.
// streaming_metrics, and all else that tokens' times make, stays absent unless
// context.regatta().streaming(), and where most answers came whole (DecodingTimes::Whole). Failed
// requests are counted, with their messages, and enter no other figure. Requests cancelled on
// purpose count in what is in flight and in what depends on token arrivals alone.
PointReport CompletePoint(PointReport context, const PointSamples& samples);

}  // namespace regatta
