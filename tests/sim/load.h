// Closed-loop load on a scheduler with a step-time model: what throughput a pool of blocks gives at
// a number of concurrent requests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "router/scheduler/scheduler.h"
#include "tests/sim/random.h"

namespace regatta::sim {

// Time of a step: a fixed part (weights are read, kernels are launched) and one per token (they are
// multiplied), less for the first ones.
struct StepTime {
  double fixed_ms = 5.0;
  double per_token_ms = 0.025;
  uint32_t cheap_tokens = 0;
  double per_cheap_token_ms = 0;
  double operator()(uint64_t tokens) const {
    const auto cheap = std::min<uint64_t>(tokens, cheap_tokens);
    return fixed_ms + per_cheap_token_ms * static_cast<double>(cheap) +
           per_token_ms * static_cast<double>(tokens - cheap);
  }
};

// What requests say of their output length. Unless it is exact the model stops by itself.
enum class MaxTokens { kExact, kMissing, kLoose };
inline constexpr uint32_t kLooseMaxTokens = 3000;  // asked for, hardly ever reached

struct Load {
  SchedulerOptions options;
  StepTime step_time;
  uint32_t concurrency = 1;
  double mean_gap_ms = 0;  // > 0: requests come at random (Poisson), however many are there
  uint32_t requests = 1000;
  MaxTokens max_tokens = MaxTokens::kExact;
  // Lengths of the n-th request: prompt, and output where the model stops by itself or max_tokens
  // ends it.
  std::function<uint32_t(Random&)> prompt_length;
  std::function<uint32_t(Random&)> output_length;
};

struct LoadResult {
  double seconds = 0;
  double output_tokens_per_second = 0;  // over the middle of the run: neither filling nor draining
  uint32_t peak_blocks = 0;
  double mean_running = 0;
  uint64_t preemptions = 0;
  uint64_t recomputed_tokens = 0;
  double mean_wait_ms = 0;  // for a first token, of those after the first `concurrency`
  double longest_wait_ms = 0;
};

LoadResult RunLoad(const Load& load, uint64_t seed);

// Largest concurrency up to `limit` at which the sequences, all let in at once, never use more than
// `blocks`.
uint32_t ConcurrencyThatFits(const Load& load, uint32_t blocks, uint32_t limit, uint64_t seed);

}  // namespace regatta::sim
