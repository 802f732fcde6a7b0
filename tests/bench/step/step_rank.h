// One rank of a group under a steady load: the real executor, without a router.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/step/kernel_trace.h"
#include "tests/bench/step/step_plans.h"
#include "worker/executor.h"

namespace regatta {

// Traced steps that are not counted: the first launches take milliseconds then.
inline constexpr uint32_t kFirstTraced = 4;

struct StepLoad {
  LoadShape shape;
  std::vector<uint32_t> batches;
  uint32_t context = 0;
  uint32_t output = 0;  // tokens of a sequence before a prompt takes its place; 0 = it goes on
  uint32_t warmup = 0;  // decoding steps before those that count; at least `output`
  uint32_t steps = 0;   // that count
  uint32_t traced = 0;  // after those, kernel by kernel
  uint32_t inflight = 0;
};

struct StepTiming {
  uint32_t batch = 0;
  double step_s = 0;    // mean, steps back to back
  double launch_s = 0;  // of it, in Launch: what the host needs to issue a step
  double dry_share =
      0;  // steps that were done when the host came for them: the device may have idled
  double idle_share = -1;  // of the device, in steps traced after those; negative: not traced
  std::vector<KernelShare> kernels;  // of the traced steps, seconds a step
  double mean_context = 0;           // while measured
  double fill_tokens_s = 0;          // prompt tokens
};

// Runs the load; every rank of the group must. Timings are of this rank's clock.
absl::StatusOr<std::vector<StepTiming>> RunSteps(Executor& executor, const StepLoad& load);

}  // namespace regatta
