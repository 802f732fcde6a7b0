// A pre-norm transformer decoder (Vaswani et al. 2017; Touvron et al. 2023) with dense or
// Mixture-of-Experts MLPs, sharded over attention tp, experts and pipeline stages.
//
// Every rank of a stage holds all tokens, a part of the heads and a part of each MLP or some of the
// experts; what each adds to the residual is summed over the stage's ranks. Stages pass the
// residual on. Embedding and head are split by vocabulary rows.
#include "worker/model.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/rope_table.h"

namespace regatta {
namespace {

// Memory for the activations of the largest step; a step works on views of its first rows.
struct Activations {
  DeviceTensor residual, delta, normed;            // [T, D]
  DeviceTensor qkv;                                // [T, (H + 2G) * K]
  DeviceTensor attended;                           // [T, H * K]
  DeviceTensor mlp_scratch;                        // [T, 3F]
  DeviceTensor router_logits;                      // [T, E] float32
  DeviceTensor expert_ids, expert_weights;         // [T, k] int32, float32
  DeviceTensor shared_out, shared_gate;            // [T, D]; [T, 1] float32
  DeviceTensor last_hidden;                        // [N, D]
  DeviceTensor shard_logits, rank_logits, logits;  // float32 [N, V / tp], [tp, N, V / tp], [N, V]
};

MlpWeights ViewOf(const ExpertWeights& weights) {
  return {.gate_up = weights.gate_up.get(), .down = weights.down.get()};
}

class Decoder final : public Model {
 public:
  Decoder(const ModelSpec& spec, const RankPosition& position, const ShardWeights& weights,
          const std::vector<KvLayer>& cache, Ops& ops, const RankCommunicators& communicators)
      : spec_(spec),
        position_(position),
        weights_(weights),
        cache_(cache),
        ops_(ops),
        tp_(*communicators.attention_tp),
        pipeline_(*communicators.pipeline),
        eps_(static_cast<float>(spec.norm_eps)) {}

  absl::Status Allocate(const StepLimits& limits);
  Tensor Forward(const ForwardInput& input) override;
  Tensor Logits(const int32_t* rows, int num_rows) override;

 private:
  // Names of the step's rows of the activations.
  struct Step {
    Tensor residual, delta, normed, qkv, q, k, v, attended;
  };
  Step StepOf(int num_tokens) const;
  void Embed(const ForwardInput& input, const Step& step);
  void Attend(int layer, const AttentionBatch& batch, const Step& step);
  void MixExperts(int layer, const Step& step);
  void AddToResidual(int layer, const Step& step);

  absl::Status AllocateTensor(DeviceTensor& tensor, DType dtype, int64_t rows, int64_t columns);
  absl::Status AllocateHead(int64_t max_rows);
  absl::Status MakeRope(int max_seq_len);
  AttentionParams AttentionOf(int layer) const;
  MoeParams MoeOf() const;
  MoeWeights MoeWeightsOf(int layer) const;

  const ModelSpec spec_;
  const RankPosition position_;
  const ShardWeights& weights_;
  const std::vector<KvLayer>& cache_;
  Ops& ops_;
  Communicator& tp_;
  Communicator& pipeline_;
  const float eps_;

  MoeParams moe_;
  std::vector<AttentionParams> attention_;  // per layer of this stage, as the following
  std::vector<MoeWeights> experts_;         // without experts where the layer is dense
  DeviceTensor rope_;
  Activations memory_;
};

Tensor Decoder::Forward(const ForwardInput& input) {
  CHECK_EQ(cache_.size(), weights_.layers.size());
  const Step step = StepOf(input.attention.num_tokens);
  if (position_.first_stage) {
    Embed(input, step);
  } else {
    pipeline_.Recv(step.residual, pipeline_.rank() - 1, kActivationChannel);
  }
  ops_.RmsNorm(step.residual, weights_.layers.front().input_norm.tensor, eps_, step.normed);

  for (int layer = 0; layer < static_cast<int>(weights_.layers.size()); ++layer) {
    Attend(layer, input.attention, step);
    if (experts_[layer].router != nullptr) {
      MixExperts(layer, step);
    } else {
      ops_.GatedMlp(step.normed, ViewOf(weights_.layers[layer].mlp), memory_.mlp_scratch.tensor,
                    step.delta);
    }
    AddToResidual(layer, step);
  }

  if (position_.last_stage) return Logits(input.logit_rows, input.num_logit_rows);
  pipeline_.Send(step.residual, pipeline_.rank() + 1, kActivationChannel);
  return {};
}

// Each rank looks up the ids of its vocabulary rows; the others give zero.
void Decoder::Embed(const ForwardInput& input, const Step& step) {
  ops_.Embedding(input.token_ids, input.drawn, weights_.embedding.tensor,
                 weights_.shape.first_vocab_row, step.residual);
  tp_.AllReduceSum(step.residual);
}

// residual += attention(normed); normed = the MLP's input.
void Decoder::Attend(int layer, const AttentionBatch& batch, const Step& step) {
  const LayerWeights& weights = weights_.layers[layer];
  ops_.Linear(step.normed, *weights.qkv, weights.qkv_bias.tensor, step.qkv);
  ops_.Attention(step.q, step.k, step.v, batch, attention_[layer], cache_[layer], step.attended);
  ops_.LinearReduceAddNorm(step.attended, *weights.o, tp_, step.residual, step.delta,
                           weights.post_attention_norm.tensor, eps_, step.normed);
}

// delta = this rank's part of the routed experts and of the shared one (Shazeer et al. 2017).
// Tokens are on all ranks, so the sum over ranks is all the communication that experts need.
void Decoder::MixExperts(int layer, const Step& step) {
  const int64_t tokens = step.normed.dim(0);
  const MoeWeights& weights = experts_[layer];
  const Tensor logits = memory_.router_logits.tensor.Rows(0, tokens);
  const Tensor ids = memory_.expert_ids.tensor.Rows(0, tokens);
  const Tensor mix = memory_.expert_weights.tensor.Rows(0, tokens);
  ops_.Linear(step.normed, *weights.router, Tensor{}, logits);
  ops_.MoeRoute(logits, moe_, ids, mix);
  ops_.MoeExperts(step.normed, ids, mix, moe_, weights, step.delta);
  if (weights.shared.down == nullptr) return;
  const Tensor shared = memory_.shared_out.tensor.Rows(0, tokens);
  Tensor gate;
  ops_.GatedMlp(step.normed, weights.shared, memory_.mlp_scratch.tensor, shared);
  if (weights.shared_gate != nullptr) {
    gate = memory_.shared_gate.tensor.Rows(0, tokens);
    ops_.Linear(step.normed, *weights.shared_gate, Tensor{}, gate);
  }
  ops_.AddScaled(step.delta, shared, gate);
}

// residual += delta of all ranks; normed = the input of what follows this layer.
void Decoder::AddToResidual(int layer, const Step& step) {
  tp_.AllReduceSum(step.delta);
  const bool last_here = layer + 1 == static_cast<int>(weights_.layers.size());
  if (last_here && !position_.last_stage) return ops_.AddScaled(step.residual, step.delta, {});
  const DeviceTensor& next_norm =
      last_here ? weights_.final_norm : weights_.layers[layer + 1].input_norm;
  ops_.AddRmsNorm(step.residual, step.delta, next_norm.tensor, eps_, step.normed);
}

Tensor Decoder::Logits(const int32_t* rows, int num_rows) {
  if (num_rows == 0) return {};
  CHECK_LE(num_rows, memory_.last_hidden.tensor.dim(0));
  const Tensor hidden = memory_.last_hidden.tensor.Rows(0, num_rows);
  ops_.GatherRows(memory_.normed.tensor, rows, hidden);
  const int64_t ranks = tp_.size();
  const int64_t width = weights_.shape.vocab_rows;
  const Tensor shard =
      Tensor::Of(memory_.shard_logits.buffer.data(), DType::kFloat32, num_rows, width);
  ops_.Linear(hidden, *weights_.lm_head, Tensor{}, shard);
  if (ranks == 1) return shard;

  const Tensor by_rank =
      Tensor::Of(memory_.rank_logits.buffer.data(), DType::kFloat32, ranks * num_rows, width);
  const Tensor logits =
      Tensor::Of(memory_.logits.buffer.data(), DType::kFloat32, num_rows, ranks * width);
  tp_.AllGather(shard, by_rank);
  ops_.JoinColumns(by_rank, logits);
  return logits;
}

Decoder::Step Decoder::StepOf(int num_tokens) const {
  const auto rows = [num_tokens](const DeviceTensor& all) {
    return all.tensor.Rows(0, num_tokens);
  };
  Step step = {.residual = rows(memory_.residual),
               .delta = rows(memory_.delta),
               .normed = rows(memory_.normed),
               .qkv = rows(memory_.qkv),
               .attended = rows(memory_.attended)};
  const int64_t q_width = int64_t{weights_.shape.num_heads} * spec_.head_dim;
  const int64_t kv_width = int64_t{weights_.shape.num_kv_heads} * spec_.head_dim;
  step.q = step.qkv.Columns(0, q_width);
  step.k = step.qkv.Columns(q_width, kv_width);
  step.v = step.qkv.Columns(q_width + kv_width, kv_width);
  return step;
}

absl::Status Decoder::AllocateTensor(DeviceTensor& tensor, DType dtype, int64_t rows,
                                     int64_t columns) {
  const size_t bytes = static_cast<size_t>(rows) * columns * SizeOf(dtype);
  tensor.buffer = ops_.Allocate(bytes);
  if (tensor.buffer.data() == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for ", bytes, " bytes of activations"));
  }
  tensor.tensor = Tensor::Of(tensor.buffer.data(), dtype, rows, columns);
  return absl::OkStatus();
}

absl::Status Decoder::Allocate(const StepLimits& limits) {
  const ShardShape& shape = weights_.shape;
  const DType dtype = weights_.dtype;
  const int64_t tokens = limits.max_tokens;
  const int64_t hidden = spec_.hidden_size;
  const int64_t q_width = int64_t{shape.num_heads} * spec_.head_dim;
  const int64_t kv_width = int64_t{shape.num_kv_heads} * spec_.head_dim;
  const int64_t mlp_width = std::max({shape.ffn_width, shape.shared_width, 1});
  RETURN_IF_ERROR(AllocateTensor(memory_.residual, dtype, tokens, hidden));
  RETURN_IF_ERROR(AllocateTensor(memory_.delta, dtype, tokens, hidden));
  RETURN_IF_ERROR(AllocateTensor(memory_.normed, dtype, tokens, hidden));
  RETURN_IF_ERROR(AllocateTensor(memory_.qkv, dtype, tokens, q_width + 2 * kv_width));
  RETURN_IF_ERROR(AllocateTensor(memory_.attended, dtype, tokens, q_width));
  RETURN_IF_ERROR(AllocateTensor(memory_.mlp_scratch, dtype, tokens, 3 * mlp_width));
  if (spec_.is_moe()) {
    const int experts = spec_.moe.num_experts;
    const int chosen = spec_.moe.experts_per_token;
    RETURN_IF_ERROR(AllocateTensor(memory_.router_logits, DType::kFloat32, tokens, experts));
    RETURN_IF_ERROR(AllocateTensor(memory_.expert_ids, DType::kInt32, tokens, chosen));
    RETURN_IF_ERROR(AllocateTensor(memory_.expert_weights, DType::kFloat32, tokens, chosen));
    RETURN_IF_ERROR(AllocateTensor(memory_.shared_out, dtype, tokens, hidden));
    RETURN_IF_ERROR(AllocateTensor(memory_.shared_gate, DType::kFloat32, tokens, 1));
  }
  if (position_.last_stage) RETURN_IF_ERROR(AllocateHead(limits.max_rows));
  RETURN_IF_ERROR(MakeRope(limits.max_seq_len));

  moe_ = MoeOf();
  for (int layer = 0; layer < static_cast<int>(weights_.layers.size()); ++layer) {
    attention_.push_back(AttentionOf(layer));
    experts_.push_back(MoeWeightsOf(layer));
  }
  ops_.Reserve(limits.max_tokens, limits.max_rows, moe_, shape.expert_width, spec_.hidden_size,
               spec_.vocab_size);
  return absl::OkStatus();
}

absl::Status Decoder::AllocateHead(int64_t max_rows) {
  const int64_t ranks = tp_.size();
  const int64_t width = weights_.shape.vocab_rows;
  const DType f32 = DType::kFloat32;
  RETURN_IF_ERROR(AllocateTensor(memory_.last_hidden, weights_.dtype, max_rows, spec_.hidden_size));
  RETURN_IF_ERROR(AllocateTensor(memory_.shard_logits, f32, max_rows, width));
  if (ranks == 1) return absl::OkStatus();
  RETURN_IF_ERROR(AllocateTensor(memory_.rank_logits, f32, ranks * max_rows, width));
  RETURN_IF_ERROR(AllocateTensor(memory_.logits, f32, max_rows, ranks * width));
  return absl::OkStatus();
}

absl::Status Decoder::MakeRope(int max_seq_len) {
  const std::vector<float> table = MakeRopeTable(spec_.rope, max_seq_len, spec_.head_dim);
  RETURN_IF_ERROR(AllocateTensor(rope_, DType::kFloat32, max_seq_len, spec_.head_dim));
  ops_.CopyToDevice(rope_.buffer.data(), table.data(), table.size() * sizeof(float));
  return absl::OkStatus();
}

AttentionParams Decoder::AttentionOf(int layer) const {
  const LayerWeights& weights = weights_.layers[layer];
  const bool sliding = spec_.LayerIsSliding(position_.first_layer + layer);
  return {.num_heads = weights_.shape.num_heads,
          .num_kv_heads = weights_.shape.num_kv_heads,
          .head_dim = spec_.head_dim,
          .scale = 1.0f / std::sqrt(static_cast<float>(spec_.head_dim)),
          .sliding_window = sliding ? spec_.sliding_window : 0,
          .q_norm = weights.q_norm.tensor,
          .k_norm = weights.k_norm.tensor,
          .norm_eps = eps_,
          .rope = rope_.tensor};
}

MoeParams Decoder::MoeOf() const {
  if (!spec_.is_moe()) return {};
  return {.num_experts = spec_.moe.num_experts,
          .experts_per_token = spec_.moe.experts_per_token,
          .sigmoid = spec_.moe.score == RouterScore::kSigmoid,
          .normalize_topk = spec_.moe.normalize_topk,
          .routed_scaling = static_cast<float>(spec_.moe.routed_scaling),
          .first_expert = weights_.shape.first_expert,
          .num_local = weights_.shape.num_local_experts};
}

MoeWeights Decoder::MoeWeightsOf(int layer) const {
  const LayerWeights& weights = weights_.layers[layer];
  MoeWeights moe = {.router = weights.router.get(),
                    .experts = {},
                    .shared = ViewOf(weights.shared),
                    .shared_gate = weights.shared_gate.get()};
  for (const ExpertWeights& expert : weights.experts) moe.experts.push_back(ViewOf(expert));
  return moe;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> Model::Create(const ModelSpec& spec,
                                                     const RankPosition& position,
                                                     const ShardWeights& weights,
                                                     const std::vector<KvLayer>& cache, Ops& ops,
                                                     const RankCommunicators& communicators,
                                                     const StepLimits& limits) {
  auto model = std::make_unique<Decoder>(spec, position, weights, cache, ops, communicators);
  RETURN_IF_ERROR(model->Allocate(limits));
  return model;
}

}  // namespace regatta
