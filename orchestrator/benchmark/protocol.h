// How other tools measure, to the letter: what --compat changes of a run, and what it forbids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {

// InferenceX (formerly InferenceMAX), utils/bench_serving and benchmark_lib.sh there: a closed loop
// of random prompts, lengths uniform in [int(0.8 L), L]; 10 requests per user; before them the
// point's first prompt, twice per user; end tokens ignored; no time limit; prefix cache off.
inline constexpr char kInferenceMaxProtocol[] = "inferencemax";
// trtllm-bench throughput, tensorrt_llm/bench there: each point sends the data set from its first
// entry in the file's order, all of it unless --num-requests caps it; 2 warm-up requests;
// percentiles are sorted[int(n p)]; a single token has a TPOT and a speed of 0.
inline constexpr char kTrtllmBenchProtocol[] = "trtllm-bench";

// INVALID_ARGUMENT names the first of `given` (--name=value) that the options' protocol decides
// itself. OK without a protocol.
absl::Status CheckProtocol(const BenchmarkOptions& options, const std::vector<std::string>& given);

// The requests of each point as the protocol has them. NOT_FOUND or INVALID_ARGUMENT of the data
// set, where their number is its length.
absl::Status SetProtocolRequests(const BenchmarkOptions& options, std::vector<LoadPoint>& points);

// Puts the protocol's choices in the place of defaults.
void ApplyProtocol(BenchmarkOptions& options);

}  // namespace regatta
