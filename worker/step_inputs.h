// StepInputs: device memory for one step's arrays, allocated once for the largest step.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/ops.h"
#include "worker/batch.h"
#include "worker/model.h"
#include "worker/slot_table.h"

namespace regatta {

class StepInputs {
 public:
  // `ops` must outlive it. RESOURCE_EXHAUSTED when memory does.
  static absl::StatusOr<std::unique_ptr<StepInputs>> Create(const SlotLimits& limits, Ops& ops);

  // Copies the batch to the device; valid until the next Upload.
  ForwardInput Upload(const StepBatch& batch);

 private:
  explicit StepInputs(Ops& ops) : ops_(ops) {}
  template <typename T>
  const T* Copy(const std::vector<T>& values);

  Ops& ops_;
  Buffer memory_;
  size_t used_ = 0;  // bytes of this step
};

}  // namespace regatta
