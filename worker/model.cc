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
#include "worker/formed_activation.h"
#include "worker/rope_table.h"

namespace regatta {
namespace {

// Memory for the activations of the largest step; a step works on views of its first rows.
struct Activations {
  DeviceTensor residual, delta;                    // [T, D]
  FormedActivation normed;                         // [T, D]
  DeviceTensor qkv;                                // [T, (H + 2G) * K]
  FormedActivation attended;                       // [T, H * K]
  DeviceTensor gate_up;                            // [T, 2F]
  FormedActivation activated;                      // [T, F]
  DeviceTensor router_logits;                      // [T, E] float32
  DeviceTensor expert_ids, expert_weights;         // [T, k] int32, float32
  DeviceTensor shared_out, shared_gate;            // [T, D]; [T, 1] float32
  DeviceTensor last_hidden;                        // [N, D]
  DeviceTensor shard_logits, rank_logits, logits;  // float32 [N, V / tp], [tp, N, V / tp], [N, V]
};

MlpWeights ViewOf(const ExpertWeights& weights) {
  return {.gate_up = weights.gate_up.get(), .down = weights.down.get()};
}

// Whether the attention writes its output in the form that the next weight takes: unless scales are
// to be found in it.
bool WritesForm(const Weight& o) {
  return o.input == ActivationFormat::kPlain || o.input == ActivationFormat::kStatic;
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
  void RunStage(const ForwardInput& input) override;
  bool Halves(int num_tokens) const override {
    return whole_tokens_ > 0 && num_tokens > whole_tokens_;
  }
  Tensor Logits(const int32_t* rows, int num_rows) override;

 private:
  // Names of the step's rows of the activations, or of some of them; `normed` is the plain form.
  struct Step {
    int64_t first, tokens;
    Tensor residual, delta, normed, qkv, q, k, v;
  };
  Step StepOf(int64_t first, int64_t tokens) const;
  Activation Normed(const Weight& user, const Step& step) const {
    return memory_.normed.For(user, step.first, step.tokens);
  }
  void Embed(const ForwardInput& input, const Step& step);
  void RunLayer(int layer, const AttentionBatch& batch, const Step& step);
  void RunLayersInHalves(const AttentionBatch& batch, const Step& step);
  void NormInput(const Step& step);
  void Project(int layer, const Step& step);
  void Attend(int layer, const AttentionBatch& batch, const Step& step);
  Activation Attended(int layer, const Step& step);
  Activation Gated(const Activation& x, const MlpWeights& weights, const Step& step);
  void RunMlp(const Activation& x, const MlpWeights& weights, const Step& step, const Tensor& out);
  void MixExperts(int layer, const Step& step);
  // What follows a layer: the norm's weight, empty where the next stage takes the residual, and
  // where the normed residual goes.
  struct Follower {
    Tensor norm;
    Activation input;
  };
  Follower FollowerOf(int layer, const Step& step) const;
  void AddToResidual(const Follower& next, const Step& step);

  int num_layers() const { return static_cast<int>(weights_.layers.size()); }

  absl::Status AllocateExperts(int64_t tokens);
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
  int whole_tokens_ = 0;

  MoeParams moe_;
  std::vector<AttentionParams> attention_;  // per layer of this stage, as the following
  std::vector<MoeWeights> experts_;         // without experts where the layer is dense
  DeviceTensor rope_;
  Activations memory_;
};

void Decoder::RunStage(const ForwardInput& input) {
  CHECK_EQ(cache_.size(), weights_.layers.size());
  const Step step = StepOf(0, input.attention.num_tokens);
  if (position_.first_stage) {
    Embed(input, step);
  } else {
    pipeline_.Recv(step.residual, pipeline_.rank() - 1, kActivationChannel);
  }
  if (Halves(input.attention.num_tokens)) {
    RunLayersInHalves(input.attention, step);
  } else {
    NormInput(step);
    for (int layer = 0; layer < num_layers(); ++layer) RunLayer(layer, input.attention, step);
  }
  if (!position_.last_stage) {
    pipeline_.Send(step.residual, pipeline_.rank() + 1, kActivationChannel);
  }
}

// residual += attention(normed), residual += MLP(its norm); normed = the input of what follows.
void Decoder::RunLayer(int layer, const AttentionBatch& batch, const Step& step) {
  const LayerWeights& weights = weights_.layers[layer];
  const bool is_moe = experts_[layer].router != nullptr;  // which takes it plain
  Project(layer, step);
  Attend(layer, batch, step);
  ops_.LinearReduceAddNorm(Attended(layer, step), *weights.o, tp_, step.residual, step.delta,
                           weights.post_attention_norm.tensor, eps_,
                           is_moe ? step.normed : Normed(*weights.mlp.gate_up, step));
  const MlpWeights mlp = ViewOf(weights.mlp);
  const Follower next = FollowerOf(layer, step);
  // Of several ranks sum and norm stay apart here: behind a norm the next product begins early.
  if (!is_moe && next.norm && tp_.size() == 1) {
    ops_.LinearReduceAddNorm(Gated(Normed(*mlp.gate_up, step), mlp, step), *mlp.down, tp_,
                             step.residual, step.delta, next.norm, eps_, next.input);
    return;
  }
  if (is_moe) {
    MixExperts(layer, step);
  } else {
    RunMlp(Normed(*mlp.gate_up, step), mlp, step, step.delta);
  }
  tp_.AllReduceSum(step.delta);
  AddToResidual(next, step);
}

// The same of all layers, which are dense: sums of one half of the tokens run beside the products
// of the other; attention is of both at once.
void Decoder::RunLayersInHalves(const AttentionBatch& batch, const Step& step) {
  const int64_t middle = (step.tokens / 2 + kGroupRows - 1) / kGroupRows * kGroupRows;
  const Step halves[] = {StepOf(0, middle), StepOf(middle, step.tokens - middle)};
  for (const Step& half : halves) {
    NormInput(half);
    Project(0, half);
  }
  for (int layer = 0; layer < num_layers(); ++layer) {
    const LayerWeights& weights = weights_.layers[layer];
    const MlpWeights mlp = ViewOf(weights.mlp);
    Attend(layer, batch, step);
    for (const Step& half : halves) {
      ops_.Linear(Attended(layer, half), *weights.o, Tensor{}, half.delta);
      tp_.BeginSum(half.delta);
    }
    for (const Step& half : halves) {
      tp_.AwaitSum();
      ops_.AddRmsNorm(half.residual, half.delta, weights.post_attention_norm.tensor, eps_,
                      Normed(*mlp.gate_up, half));
      RunMlp(Normed(*mlp.gate_up, half), mlp, half, half.delta);
      tp_.BeginSum(half.delta);
    }
    for (const Step& half : halves) {
      tp_.AwaitSum();
      AddToResidual(FollowerOf(layer, half), half);
      if (layer + 1 < num_layers()) Project(layer + 1, half);
    }
  }
}

// Each rank looks up the ids of its vocabulary rows; the others give zero.
void Decoder::Embed(const ForwardInput& input, const Step& step) {
  ops_.Embedding(input.token_ids, input.drawn, weights_.embedding.tensor,
                 weights_.shape.first_vocab_row, step.residual);
  tp_.AllReduceSum(step.residual);
}

// normed = the input of the first layer here.
void Decoder::NormInput(const Step& step) {
  const LayerWeights& first = weights_.layers.front();
  ops_.RmsNorm(step.residual, first.input_norm.tensor, eps_, Normed(*first.qkv, step));
}

void Decoder::Project(int layer, const Step& step) {
  const LayerWeights& weights = weights_.layers[layer];
  ops_.Linear(Normed(*weights.qkv, step), *weights.qkv, weights.qkv_bias.tensor, step.qkv);
}

void Decoder::Attend(int layer, const AttentionBatch& batch, const Step& step) {
  const Weight& o = *weights_.layers[layer].o;
  const Tensor plain = memory_.attended.plain.tensor.Rows(0, step.tokens);
  ops_.Attention(step.q, step.k, step.v, batch, attention_[layer], cache_[layer],
                 WritesForm(o) ? memory_.attended.For(o, 0, step.tokens) : plain);
}

// The attention's output in the form that the next weight takes.
Activation Decoder::Attended(int layer, const Step& step) {
  const Weight& o = *weights_.layers[layer].o;
  const Activation attended = memory_.attended.For(o, step.first, step.tokens);
  if (!WritesForm(o)) {
    ops_.Quantize(memory_.attended.plain.tensor.Rows(step.first, step.tokens), attended);
  }
  return attended;
}

// silu(gate) * up, in the form that the next weight takes.
Activation Decoder::Gated(const Activation& x, const MlpWeights& weights, const Step& step) {
  const Tensor rows = memory_.gate_up.tensor.Rows(0, step.tokens);
  const Activation activated = memory_.activated.For(*weights.down, 0, step.tokens);
  ops_.GatedProduct(x, *weights.gate_up, rows.Columns(0, weights.gate_up->out_features), activated);
  return activated;
}

// out = this rank's part of the MLP.
void Decoder::RunMlp(const Activation& x, const MlpWeights& weights, const Step& step,
                     const Tensor& out) {
  ops_.Linear(Gated(x, weights, step), *weights.down, Tensor{}, out);
}

// delta = this rank's part of the routed experts and of the shared one (Shazeer et al. 2017).
// Tokens are on all ranks, so the sum over ranks is all the communication that experts need.
void Decoder::MixExperts(int layer, const Step& step) {
  const int64_t tokens = step.tokens;
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
  const Activation x = Normed(*weights.shared.gate_up, step);
  if (x.quantized()) ops_.Quantize(step.normed, x);
  RunMlp(x, weights.shared, step, shared);
  if (weights.shared_gate != nullptr) {
    gate = memory_.shared_gate.tensor.Rows(0, tokens);
    ops_.Linear(step.normed, *weights.shared_gate, Tensor{}, gate);
  }
  ops_.AddScaled(step.delta, shared, gate);
}

// residual += delta, which is of all ranks; normed = the input of what follows this layer.
void Decoder::AddToResidual(const Follower& next, const Step& step) {
  if (!next.norm) return ops_.AddScaled(step.residual, step.delta, {});
  ops_.AddRmsNorm(step.residual, step.delta, next.norm, eps_, next.input);
}

Decoder::Follower Decoder::FollowerOf(int layer, const Step& step) const {
  if (layer + 1 < num_layers()) {
    const LayerWeights& next = weights_.layers[layer + 1];
    return {next.input_norm.tensor, Normed(*next.qkv, step)};
  }
  if (!position_.last_stage) return {};
  return {weights_.final_norm.tensor, step.normed};  // the head takes it plain
}

Tensor Decoder::Logits(const int32_t* rows, int num_rows) {
  if (num_rows == 0 || !position_.last_stage) return {};
  CHECK_LE(num_rows, memory_.last_hidden.tensor.dim(0));
  const Tensor hidden = memory_.last_hidden.tensor.Rows(0, num_rows);
  ops_.GatherRows(memory_.normed.plain.tensor, rows, hidden);
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

Decoder::Step Decoder::StepOf(int64_t first, int64_t tokens) const {
  const auto rows = [&](const DeviceTensor& all) { return all.tensor.Rows(first, tokens); };
  Step step = {.first = first,
               .tokens = tokens,
               .residual = rows(memory_.residual),
               .delta = rows(memory_.delta),
               .normed = rows(memory_.normed.plain),
               .qkv = rows(memory_.qkv)};
  const int64_t q_width = int64_t{weights_.shape.num_heads} * spec_.head_dim;
  const int64_t kv_width = int64_t{weights_.shape.num_kv_heads} * spec_.head_dim;
  step.q = step.qkv.Columns(0, q_width);
  step.k = step.qkv.Columns(q_width, kv_width);
  step.v = step.qkv.Columns(q_width + kv_width, kv_width);
  return step;
}

absl::Status Decoder::Allocate(const StepLimits& limits) {
  const ShardShape& shape = weights_.shape;
  const DType dtype = weights_.dtype;
  const bool quantized = weights_.quantized;
  const int64_t tokens = (limits.max_tokens + kGroupRows - 1) / kGroupRows * kGroupRows;
  const int64_t hidden = spec_.hidden_size;
  const int64_t q_width = int64_t{shape.num_heads} * spec_.head_dim;
  const int64_t kv_width = int64_t{shape.num_kv_heads} * spec_.head_dim;
  const int64_t mlp_width = std::max({shape.ffn_width, shape.shared_width, 1});
  RETURN_IF_ERROR(AllocateTensor(ops_, dtype, tokens, hidden, memory_.residual));
  RETURN_IF_ERROR(AllocateTensor(ops_, dtype, tokens, hidden, memory_.delta));
  RETURN_IF_ERROR(AllocateTensor(ops_, dtype, tokens, q_width + 2 * kv_width, memory_.qkv));
  RETURN_IF_ERROR(AllocateTensor(ops_, dtype, tokens, 2 * mlp_width, memory_.gate_up));
  RETURN_IF_ERROR(memory_.normed.Allocate(ops_, dtype, tokens, hidden, quantized));
  RETURN_IF_ERROR(memory_.attended.Allocate(ops_, dtype, tokens, q_width, quantized));
  RETURN_IF_ERROR(memory_.activated.Allocate(ops_, dtype, tokens, mlp_width, quantized));
  if (spec_.is_moe()) RETURN_IF_ERROR(AllocateExperts(tokens));
  if (position_.last_stage) RETURN_IF_ERROR(AllocateHead(limits.max_rows));
  RETURN_IF_ERROR(MakeRope(limits.max_seq_len));
  whole_tokens_ = spec_.is_moe() ? 0 : limits.whole_tokens;

  moe_ = MoeOf();
  for (int layer = 0; layer < num_layers(); ++layer) {
    attention_.push_back(AttentionOf(layer));
    experts_.push_back(MoeWeightsOf(layer));
  }
  ops_.Reserve(limits.max_tokens, limits.max_rows, moe_, shape.expert_width, spec_.hidden_size,
               spec_.vocab_size);
  return absl::OkStatus();
}

absl::Status Decoder::AllocateExperts(int64_t tokens) {
  const int experts = spec_.moe.num_experts;
  const int chosen = spec_.moe.experts_per_token;
  const DType f32 = DType::kFloat32;
  RETURN_IF_ERROR(AllocateTensor(ops_, f32, tokens, experts, memory_.router_logits));
  RETURN_IF_ERROR(AllocateTensor(ops_, DType::kInt32, tokens, chosen, memory_.expert_ids));
  RETURN_IF_ERROR(AllocateTensor(ops_, f32, tokens, chosen, memory_.expert_weights));
  RETURN_IF_ERROR(
      AllocateTensor(ops_, weights_.dtype, tokens, spec_.hidden_size, memory_.shared_out));
  return AllocateTensor(ops_, f32, tokens, 1, memory_.shared_gate);
}

absl::Status Decoder::AllocateHead(int64_t max_rows) {
  const int64_t ranks = tp_.size();
  const int64_t width = weights_.shape.vocab_rows;
  const DType f32 = DType::kFloat32;
  RETURN_IF_ERROR(
      AllocateTensor(ops_, weights_.dtype, max_rows, spec_.hidden_size, memory_.last_hidden));
  RETURN_IF_ERROR(AllocateTensor(ops_, f32, max_rows, width, memory_.shard_logits));
  if (ranks == 1) return absl::OkStatus();
  RETURN_IF_ERROR(AllocateTensor(ops_, f32, ranks * max_rows, width, memory_.rank_logits));
  RETURN_IF_ERROR(AllocateTensor(ops_, f32, max_rows, ranks * width, memory_.logits));
  return absl::OkStatus();
}

absl::Status Decoder::MakeRope(int max_seq_len) {
  const std::vector<float> table = MakeRopeTable(spec_.rope, max_seq_len, spec_.head_dim);
  RETURN_IF_ERROR(AllocateTensor(ops_, DType::kFloat32, max_seq_len, spec_.head_dim, rope_));
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
