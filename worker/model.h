// Model: one Forward for the decoder-only family, over this rank's shard. Reads like the paper; no branch but on ModelSpec fields.
#pragma once

#include <memory>

#include "common/layout.h"
#include "common/model_spec.h"
#include "kernels/ops.h"
#include "worker/communicator.h"
#include "worker/weights.h"

namespace regatta {

// The communicators one rank takes part in. Null where its group has one rank.
struct RankCommunicators {
  std::unique_ptr<Communicator> attention_tp;  // ranks of this stage
  std::unique_ptr<Communicator> pipeline;      // ranks with this tp_rank, one per stage, in stage order
};

// One step's inputs on the device.
struct ForwardInput {
  const int32_t* token_ids = nullptr;  // [T]; first stage only
  AttentionBatch attention;
  const int32_t* logit_rows = nullptr; // [N] token rows whose logits are wanted; last stage only
  int num_logit_rows = 0;
};

class Model {
 public:
  // `weights`, `cache` (one KvLayer per layer of this stage), `ops` and `communicators` must outlive the model.
  // Allocates activations for `max_tokens` and `max_rows`; RESOURCE_EXHAUSTED when they do not fit.
  static absl::StatusOr<std::unique_ptr<Model>> Create(const ModelSpec& spec, const Layout& layout,
                                                       const RankPosition& position,
                                                       const ShardWeights& weights,
                                                       std::vector<KvLayer> cache, Ops& ops,
                                                       RankCommunicators& communicators,
                                                       int max_tokens, int max_rows);
  virtual ~Model() = default;

  // Runs this stage: receives activations from the previous stage, sends them to the next. On the last stage returns float32 logits
  // [num_logit_rows, V] of the whole vocabulary, equal on all tp ranks; elsewhere an empty tensor. Valid until the next Forward.
  virtual Tensor Forward(const ForwardInput& input) = 0;
};

}  // namespace regatta
