// LocalGroup: a WorkerGroup without a network. Runs plans on a thread of its own, in order; steps
// can be slowed, held or failed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/bounded_queue.h"
#include "router/worker_group.h"

namespace regatta {

// Executes one plan as a sampling rank would; see tests/sim/fake_worker.h.
using PlanRunner = std::function<absl::Status(const StepPlan&, StepResult&)>;

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
        const absl::Status status = run_(*plan, result);
        if (!status.ok()) {
          on_result(status);
          return;
        }
        on_result(std::move(result));
      }
    });
  }

  void Dispatch(const StepPlan& plan) override { (void)plans_.TryPush(StepPlan(plan)); }
  std::string Laggard() const override { return "rank 0 (local) is furthest behind"; }

  void Stop() override {
    plans_.Close();
    if (thread_.joinable()) thread_.join();
  }

 private:
  const PlanRunner run_;
  const Faults faults_;
  BoundedQueue<StepPlan> plans_;
  std::thread thread_;
};

}  // namespace regatta
