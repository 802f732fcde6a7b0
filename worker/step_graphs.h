// StepGraphs: the forward pass of decoding batches, recorded once per padded size and replayed, so
// that a step costs the host one launch instead of hundreds. Empty on backends that record nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernels/ops.h"
#include "proto/types.pb.h"
#include "worker/model.h"
#include "worker/step_inputs.h"

namespace regatta {

// Batch sizes that are padded up to: those asked for, else dense where a step is short and coarse
// where it is long.
std::vector<int> GraphSizes(const GraphOptions& options, int max_batch_size);
// Longest contexts that launches are shaped for, up to `max_seq_len`.
std::vector<int> GraphContexts(int max_seq_len);

class StepGraphs {
 public:
  struct Recorded {
    std::unique_ptr<Graph> graph;
    Tensor logits;  // [size, V] on the last stage, else empty
  };

  struct Shapes {
    std::vector<int> sizes, contexts;  // rising
    bool padding = true;               // smaller batches may take the next larger size
  };

  // Device memory that recording may take, to be left free for it. Generous: a graph of a dense
  // layer stack takes about 0.8 MiB; kernels loaded on the way, and graphs of single steps, some
  // tens.
  static uint64_t ReservedBytes(const Shapes& shapes);

  // Records every size and context; all ranks of a group must do so at once. `report` is told the
  // fraction done and may end it. INTERNAL names what failed.
  static absl::StatusOr<std::unique_ptr<StepGraphs>> Record(
      Shapes shapes, Model& model, StepInputs& inputs, Ops& ops,
      absl::FunctionRef<absl::Status(double)> report);

  // The size that `batch` must be padded to for a graph to run it; 0 = none does.
  int SizeFor(const StepBatch& batch) const;
  // Of a batch padded so.
  const Recorded& For(const StepBatch& batch) const;
  int count() const { return static_cast<int>(recorded_.size()); }

 private:
  explicit StepGraphs(Shapes shapes) : shapes_(std::move(shapes)) {}

  const Shapes shapes_;
  std::vector<Recorded> recorded_;  // by size, then context
};

}  // namespace regatta
