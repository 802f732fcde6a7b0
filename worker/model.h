// Model: one Forward for the decoder-only family, over this rank's shard. Reads like the paper; no
// branch but on ModelSpec fields and on where the rank sits.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "kernels/ops.h"
#include "worker/collectives/communicator.h"
#include "worker/weights/weights.h"

namespace regatta {

// The communicators one rank takes part in; of one rank alone, a self communicator.
struct RankCommunicators {
  std::unique_ptr<Communicator> attention_tp;  // ranks of this stage
  std::unique_ptr<Communicator> pipeline;  // ranks with this tp_rank, one per stage, in stage order
};

// The largest step, which activations and scratch are sized for.
struct StepLimits {
  int max_tokens = 0;   // T
  int max_rows = 0;     // N: rows of logits at once
  int max_seq_len = 0;  // positions
  // Steps of more tokens are computed in two halves, the sums of one beside the products of the
  // other (Communicator::BeginSum); 0 = none are.
  int whole_tokens = 0;
};

// The products of halves of few tokens lose what the sums beside them gain: at 2,128 tokens of the
// 70B shape they did (two H200s), and by how long sums waited there they gain from here on.
inline constexpr int kWholeTokens = 6144;
// Bytes of the largest sum of a half.
inline size_t HalfSumBytes(const ModelSpec& spec, DType dtype, int max_tokens) {
  const int64_t rows = (max_tokens + 1) / 2 + kGroupRows;
  return static_cast<size_t>(rows) * spec.hidden_size * SizeOf(dtype);
}

// One step's inputs on the device.
struct ForwardInput {
  const int32_t* token_ids = nullptr;  // [T], as StepBatch's; first stage only
  const int32_t* drawn = nullptr;      // by slot, what token_ids below 0 stand for
  AttentionBatch attention;
  const int32_t* logit_rows = nullptr;  // [N] token rows whose logits are wanted; last stage only
  int num_logit_rows = 0;
  const int32_t* sample_slots = nullptr;  // [N] where the tokens drawn for those rows go
};

class Model {
 public:
  // All must outlive the model. Allocates all activations: RESOURCE_EXHAUSTED when they do not fit.
  // `cache` gets its layers, one per layer of this stage, before the first Forward: it is sized by
  // what is left.
  static absl::StatusOr<std::unique_ptr<Model>> Create(const ModelSpec& spec,
                                                       const RankPosition& position,
                                                       const ShardWeights& weights,
                                                       const std::vector<KvLayer>& cache, Ops& ops,
                                                       const RankCommunicators& communicators,
                                                       const StepLimits& limits);
  virtual ~Model() = default;

  // Runs this stage: receives activations from the previous stage, sends them to the next. On the
  // last stage returns Logits(input.logit_rows, input.num_logit_rows), elsewhere an empty tensor.
  Tensor Forward(const ForwardInput& input) {
    RunStage(input);
    return Logits(input.logit_rows, input.num_logit_rows);
  }
  // Forward without the logits.
  virtual void RunStage(const ForwardInput& input) = 0;
  // Whether a step of so many tokens is computed in halves, which may not be replayed.
  virtual bool Halves(int num_tokens) const = 0;

  // Float32 logits [N, V] of the whole vocabulary for `num_rows` token rows of the last RunStage,
  // equal on all tp ranks, which must all ask. `rows` is device memory; at most max_rows. Valid
  // until the next call. Empty when num_rows is 0, and elsewhere than on the last stage.
  virtual Tensor Logits(const int32_t* rows, int num_rows) = 0;
};

}  // namespace regatta
