// Launching ahead and collecting; see step_rank.h.
#include "tests/bench/step/step_rank.h"

#include <algorithm>
#include <chrono>

#include "common/status_macros.h"
#include "tests/bench/step/kernel_trace.h"

namespace regatta {
namespace {

using Steady = std::chrono::steady_clock;

constexpr double kNoWait = 20e-6;  // seconds: Collect found the step done

double SecondsSince(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

// Keeps `inflight` steps launched, and counts where the host's time goes.
class Pipeline {
 public:
  Pipeline(Executor& executor, uint32_t inflight) : executor_(executor), inflight_(inflight) {}

  absl::Status Step(const StepPlan& plan) {
    if (launched_ == inflight_) RETURN_IF_ERROR(Collect());
    const std::string bytes = plan.SerializeAsString();
    const Steady::time_point start = Steady::now();
    RETURN_IF_ERROR(executor_.Launch(bytes, inputs_));
    launch_s_ += SecondsSince(start);
    ++launched_;
    return absl::OkStatus();
  }
  absl::Status Drain() {
    while (launched_ > 0) RETURN_IF_ERROR(Collect());
    return absl::OkStatus();
  }
  void Reset() {
    launch_s_ = 0;
    dry_ = collected_ = 0;
  }
  double launch_s() const { return launch_s_; }
  double dry_share() const { return collected_ == 0 ? 0 : 1.0 * dry_ / collected_; }

 private:
  absl::Status Collect() {
    const Steady::time_point start = Steady::now();
    RETURN_IF_ERROR(executor_.Collect().status());
    if (SecondsSince(start) < kNoWait) ++dry_;
    ++collected_;
    --launched_;
    return absl::OkStatus();
  }

  Executor& executor_;
  SampleInputs inputs_;  // nothing awaits any
  const uint32_t inflight_;
  uint32_t launched_ = 0;
  uint32_t dry_ = 0, collected_ = 0;
  double launch_s_ = 0;
};

absl::StatusOr<StepTiming> Measure(Pipeline& pipeline, StepPlans& plans, const StepLoad& load,
                                   uint32_t batch) {
  StepTiming timing;
  timing.batch = batch;
  plans.Begin(batch, load.context);
  Steady::time_point start = Steady::now();
  while (const std::optional<StepPlan> plan = plans.Fill()) RETURN_IF_ERROR(pipeline.Step(*plan));
  RETURN_IF_ERROR(pipeline.Drain());
  timing.fill_tokens_s = 1.0 * batch * load.context / SecondsSince(start);
  const auto next = [&] { return load.output > 0 ? plans.Turn(load.output) : plans.Decode(); };
  for (uint32_t i = 0; i < std::max(load.warmup, load.output); ++i) {
    RETURN_IF_ERROR(pipeline.Step(next()));
  }
  RETURN_IF_ERROR(pipeline.Drain());
  pipeline.Reset();
  start = Steady::now();
  for (uint32_t i = 0; i < load.steps; ++i) RETURN_IF_ERROR(pipeline.Step(next()));
  RETURN_IF_ERROR(pipeline.Drain());
  timing.step_s = SecondsSince(start) / load.steps;
  timing.launch_s = pipeline.launch_s() / load.steps;
  timing.dry_share = pipeline.dry_share();
  KernelTrace trace;
  for (uint32_t i = 0; load.traced > 0 && i < kFirstTraced; ++i) {
    RETURN_IF_ERROR(pipeline.Step(next()));
  }
  trace.Restart();
  for (uint32_t i = 0; i < load.traced; ++i) RETURN_IF_ERROR(pipeline.Step(next()));
  RETURN_IF_ERROR(pipeline.Drain());
  if (const std::optional<KernelTimes> times = trace.Stop(); times.has_value()) {
    timing.idle_share = times->idle_share();
    timing.kernels = times->shares;
    for (KernelShare& share : timing.kernels) {
      share.busy_s /= load.traced;
      share.idle_s /= load.traced;
    }
  }
  timing.mean_context = load.output > 0 ? load.context + load.output / 2.0
                                        : load.context + load.warmup + (load.steps + 1) / 2.0;
  return timing;
}

}  // namespace

absl::StatusOr<std::vector<StepTiming>> RunSteps(Executor& executor, const StepLoad& load) {
  Pipeline pipeline(executor, load.inflight);
  StepPlans plans(load.shape);
  std::vector<StepTiming> timings;
  for (const uint32_t batch : load.batches) {
    ASSIGN_OR_RETURN(const StepTiming timing, Measure(pipeline, plans, load, batch));
    timings.push_back(timing);
  }
  return timings;
}

}  // namespace regatta
