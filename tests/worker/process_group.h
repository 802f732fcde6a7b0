// The ranks of a group as real regatta-worker processes, formed and driven over gRPC.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/testing/worker_pool.h"
#include "tests/worker/plan_target.h"

namespace regatta {

class ProcessGroup final : public PlanTarget {
 public:
  // Forms the group of `epoch` on these workers, in rank order.
  static absl::StatusOr<std::unique_ptr<ProcessGroup>> Form(const GroupOptions& options,
                                                            const std::vector<std::string>& workers,
                                                            uint64_t epoch);
  // Ends the streams.
  ~ProcessGroup() override;
  // Gives all ranks that can be reached back; the first error.
  absl::Status Dissolve();

  const GroupOptions& options() const override;
  const Formed& formed() const override;
  void Dispatch(const StepPlan& plan) override;
  void SendMasks(const SampleInput& input) override;
  absl::StatusOr<StepResult> Next(absl::Duration timeout = absl::Seconds(60)) override;

 private:
  class Impl;
  explicit ProcessGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
