// StepGraphs: the forward pass of decoding batches, recorded once per padded size and replayed, so
// that a step costs the host one launch instead of hundreds. Empty on backends that record nothing.
#pragma once

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernels/ops.h"
#include "worker/model.h"
#include "worker/step_inputs.h"

namespace regatta {

// Batch sizes that are padded up to: dense where a step is short, coarse where it is long.
std::vector<int> GraphSizes(int max_batch_size);
// Longest contexts that launches are shaped for, up to `max_seq_len`.
std::vector<int> GraphContexts(int max_seq_len);

class StepGraphs {
 public:
  struct Recorded {
    std::unique_ptr<Graph> graph;
    Tensor logits;  // [size, V] on the last stage, else empty
  };

  // Records every size and context; all ranks of a group must do so at once. `report` is told the
  // fraction done and may end it. INTERNAL names what failed.
  static absl::StatusOr<std::unique_ptr<StepGraphs>> Record(
      const std::vector<int>& sizes, const std::vector<int>& contexts, Model& model,
      StepInputs& inputs, Ops& ops, absl::FunctionRef<absl::Status(double)> report);

  // The size that `batch` must be padded to for a graph to run it; 0 = none does.
  int SizeFor(const StepBatch& batch) const;
  // Of a batch padded so.
  const Recorded& For(const StepBatch& batch) const;
  int count() const { return static_cast<int>(recorded_.size()); }

 private:
  StepGraphs(std::vector<int> sizes, std::vector<int> contexts)
      : sizes_(std::move(sizes)), contexts_(std::move(contexts)) {}

  const std::vector<int> sizes_, contexts_;  // rising
  std::vector<Recorded> recorded_;           // by size, then context
};

}  // namespace regatta
