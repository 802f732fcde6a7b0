// LocalGroup: a WorkerGroup without a network. Runs plans on a thread of its own, in order; steps
// can be slowed, held or failed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/bounded_queue.h"
#include "router/worker_group.h"

namespace regatta {

// Executes one plan with its masks as a sampling rank would; see tests/sim/fake_worker.h.
using PlanRunner = std::function<absl::Status(const StepPlan&, const SampleInput&, StepResult&)>;

class LocalGroup final : public WorkerGroup {
 public:
  struct Faults {
    std::chrono::microseconds step_time{0};
    uint64_t fail_at_step = 0;  // that step's result is a fence
    uint64_t hang_at_step = 0;  // no result from that step on
  };

  LocalGroup(PlanRunner run, const Faults& faults)
      : run_(std::move(run)), faults_(faults), plans_(1024) {}
  ~LocalGroup() override { Stop(); }

  void Start(OnResult on_result) override {
    thread_ = std::thread([this, on_result = std::move(on_result)] {
      while (auto plan = plans_.Pop(absl::InfiniteDuration())) {
        std::this_thread::sleep_for(faults_.step_time);
        if (faults_.hang_at_step > 0 && plan->step_id() >= faults_.hang_at_step) continue;
        if (plan->step_id() == faults_.fail_at_step) {
          on_result(absl::UnavailableError("rank 0 (local) died"));
          return;
        }
        StepResult result;
        const std::optional<SampleInput> masks = AwaitMasks(*plan);
        if (!masks) return;
        const absl::Status status = run_(*plan, *masks, result);
        if (!status.ok()) {
          on_result(status);
          return;
        }
        on_result(std::move(result));
      }
    });
  }

  void Dispatch(const StepPlan& plan) override { (void)plans_.TryPush(StepPlan(plan)); }
  void SendMasks(SampleInput input) override {
    absl::MutexLock lock(&mutex_);
    const uint64_t step_id = input.step_id();
    masks_.emplace(step_id, std::move(input));
  }
  std::string Laggard() const override { return "rank 0 (local) is furthest behind"; }

  void Stop() override {
    plans_.Close();
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  // Nullopt once the group stops; empty when the plan awaits none.
  std::optional<SampleInput> AwaitMasks(const StepPlan& plan) {
    const auto awaits = [](uint32_t flags) { return (flags & STEP_FLAG_AWAITS_MASK) != 0; };
    if (std::none_of(plan.flags().begin(), plan.flags().end(), awaits)) return SampleInput();
    absl::MutexLock lock(&mutex_);
    const auto ready = [&] { return stopping_ || masks_.contains(plan.step_id()); };
    mutex_.Await(absl::Condition(&ready));
    auto masks = masks_.extract(plan.step_id());
    if (masks.empty()) return std::nullopt;
    return std::move(masks.mapped());
  }

  const PlanRunner run_;
  const Faults faults_;
  BoundedQueue<StepPlan> plans_;
  absl::Mutex mutex_;
  std::map<uint64_t, SampleInput> masks_;  // by step
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace regatta
