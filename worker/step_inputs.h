// StepInputs: device memory for one step's arrays, allocated once for the largest step. Where an
// array lies depends on the numbers of tokens, sequences and draws alone, so that a recorded graph
// finds it there again.
#pragma once

#include <cstddef>
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

  // Host memory for one step on its way to the device. RESOURCE_EXHAUSTED when memory is.
  absl::StatusOr<Buffer> MakeStaging() const;
  // Copies the batch to the device by way of `staging`, which must rest until the stream has come
  // that far. Valid until the next Upload is reached in the stream.
  ForwardInput Upload(const StepBatch& batch, const Buffer& staging);

  // The newest token drawn for each slot: written by Ops::Sample, read by steps that follow.
  int32_t* drawn() const { return static_cast<int32_t*>(drawn_.data()); }

 private:
  explicit StepInputs(Ops& ops) : ops_(ops) {}

  Ops& ops_;
  Buffer memory_;
  Buffer drawn_;
};

}  // namespace regatta
