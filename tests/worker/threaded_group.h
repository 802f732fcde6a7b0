// All ranks of a group as threads of the test, driven by plans as a router drives processes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/worker/plan_target.h"

namespace regatta {

class ThreadedGroup final : public PlanTarget {
 public:
  static absl::StatusOr<std::unique_ptr<ThreadedGroup>> Form(const GroupOptions& options);
  // Waits for the ranks to finish what was dispatched.
  ~ThreadedGroup() override;

  const GroupOptions& options() const override;
  const Formed& formed() const override;
  void Dispatch(const StepPlan& plan) override;
  void SendMasks(const SampleInput& input) override;
  // Whether no rank has anything for Next to take within `time`.
  bool Idle(absl::Duration time);
  absl::StatusOr<StepResult> Next(absl::Duration timeout = absl::Seconds(60)) override;

 private:
  class Impl;
  explicit ThreadedGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
