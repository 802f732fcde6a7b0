// Runs made up for comparisons.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// One more run of `sweep`: `repeat` of the load, with that output throughput and p95 TTFT.
inline PointReport& AddRun(uint32_t concurrency, uint32_t repeat, double throughput, double ttft_ms,
                           SweepReport& sweep) {
  PointReport& run = *sweep.add_runs();
  run.mutable_regatta()->set_concurrency(concurrency);
  run.mutable_regatta()->set_repeat(repeat);
  run.mutable_request_info()->set_num_requests(10);
  run.mutable_performance()->set_system_output_throughput_tok_s(throughput);
  run.mutable_streaming_metrics()->mutable_ttft_percentiles()->set_p95(ttft_ms);
  return run;
}

// Says of all runs that they belong to one interleaved comparison.
inline void Interleave(const std::string& name, SweepReport& sweep) {
  for (PointReport& run : *sweep.mutable_runs()) run.mutable_regatta()->set_comparison(name);
}

}  // namespace regatta
