// The families' tables, and the arithmetic of shards; see tensor_table.h.
#include "common/checkpoint/tensor_table.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/check.h"

namespace regatta {
namespace {

// A size in words; kNone marks a vector.
enum class Dim {
  kNone,
  kOne,
  kHidden,
  kQueries,
  kKeys,
  kHeadDim,
  kFfn,
  kExperts,
  kExpertWidth,
  kSharedWidth,
  kVocab
};

struct TensorRule {
  WeightRole role;
  const char* pattern;
  Dim rows;
  Dim columns;
  ShardRule rule;
};

using enum WeightRole;
using enum Dim;
using enum ShardRule;

constexpr TensorRule kModelTensors[] = {
    {kEmbedding, "model.embed_tokens.weight", kVocab, kHidden, kRows},
    {kFinalNorm, "model.norm.weight", kHidden, kNone, kReplicate},
    {kLmHead, "lm_head.weight", kVocab, kHidden, kRows},
};

// Behind "model.layers.N.". Llama, Mistral, Qwen2, Qwen3, and what their MoE models have in common.
constexpr TensorRule kLayerTensors[] = {
    {kInputNorm, "input_layernorm.weight", kHidden, kNone, kReplicate},
    {kPostAttentionNorm, "post_attention_layernorm.weight", kHidden, kNone, kReplicate},
    {kQ, "self_attn.q_proj.weight", kQueries, kHidden, kRows},
    {kK, "self_attn.k_proj.weight", kKeys, kHidden, kKvRows},
    {kV, "self_attn.v_proj.weight", kKeys, kHidden, kKvRows},
    {kO, "self_attn.o_proj.weight", kHidden, kQueries, kColumns},
    {kQBias, "self_attn.q_proj.bias", kQueries, kNone, kRows},
    {kKBias, "self_attn.k_proj.bias", kKeys, kNone, kKvRows},
    {kVBias, "self_attn.v_proj.bias", kKeys, kNone, kKvRows},
    {kQNorm, "self_attn.q_norm.weight", kHeadDim, kNone, kReplicate},
    {kKNorm, "self_attn.k_norm.weight", kHeadDim, kNone, kReplicate},
    {kGate, "mlp.gate_proj.weight", kFfn, kHidden, kRows},
    {kUp, "mlp.up_proj.weight", kFfn, kHidden, kRows},
    {kDown, "mlp.down_proj.weight", kHidden, kFfn, kColumns},
    {kSharedGate, "mlp.shared_expert.gate_proj.weight", kSharedWidth, kHidden, kRows},
    {kSharedUp, "mlp.shared_expert.up_proj.weight", kSharedWidth, kHidden, kRows},
    {kSharedDown, "mlp.shared_expert.down_proj.weight", kHidden, kSharedWidth, kColumns},
    {kSharedExpertGate, "mlp.shared_expert_gate.weight", kOne, kHidden, kReplicate},
};

constexpr TensorRule kQwenExperts[] = {
    {kRouter, "mlp.gate.weight", kExperts, kHidden, kReplicate},
    {kExpertGate, "mlp.experts.{expert}.gate_proj.weight", kExpertWidth, kHidden, kExpertRows},
    {kExpertUp, "mlp.experts.{expert}.up_proj.weight", kExpertWidth, kHidden, kExpertRows},
    {kExpertDown, "mlp.experts.{expert}.down_proj.weight", kHidden, kExpertWidth, kExpertColumns},
};

constexpr TensorRule kMixtralExperts[] = {
    {kRouter, "block_sparse_moe.gate.weight", kExperts, kHidden, kReplicate},
    {kExpertGate, "block_sparse_moe.experts.{expert}.w1.weight", kExpertWidth, kHidden,
     kExpertRows},
    {kExpertUp, "block_sparse_moe.experts.{expert}.w3.weight", kExpertWidth, kHidden, kExpertRows},
    {kExpertDown, "block_sparse_moe.experts.{expert}.w2.weight", kHidden, kExpertWidth,
     kExpertColumns},
};

std::span<const TensorRule> ExpertTensors(const ModelSpec& spec) {
  if (spec.architecture == "MixtralForCausalLM") return kMixtralExperts;
  return kQwenExperts;
}

const TensorRule* FindRule(std::span<const TensorRule> rules, WeightRole role) {
  for (const TensorRule& rule : rules) {
    if (rule.role == role) return &rule;
  }
  return nullptr;
}

int64_t SizeOf(const ModelSpec& spec, Dim dim) {
  switch (dim) {
    case kNone:
    case kOne:
      return 1;
    case kHidden:
      return spec.hidden_size;
    case kQueries:
      return int64_t{spec.num_heads} * spec.head_dim;
    case kKeys:
      return int64_t{spec.num_kv_heads} * spec.head_dim;
    case kHeadDim:
      return spec.head_dim;
    case kFfn:
      return spec.ffn_width;
    case kExperts:
      return spec.moe.num_experts;
    case kExpertWidth:
      return spec.moe.expert_width;
    case kSharedWidth:
      return spec.moe.shared_expert_width;
    case kVocab:
      return spec.vocab_size;
  }
  return 0;
}

struct Range {
  int64_t first;
  int64_t count;
};

// Part `index` of `parts` of `units` units, `width` each. With more parts than units, neighbouring
// parts hold the same unit.
Range PartOf(int64_t units, int64_t width, int64_t index, int64_t parts) {
  return {index * units / parts * width, std::max<int64_t>(units / parts, 1) * width};
}

}  // namespace

bool IsQuantizable(WeightRole role) {
  switch (role) {
    case kQ:
    case kK:
    case kV:
    case kO:
    case kGate:
    case kUp:
    case kDown:
    case kExpertGate:
    case kExpertUp:
    case kExpertDown:
    case kSharedGate:
    case kSharedUp:
    case kSharedDown:
      return true;
    default:
      return false;
  }
}

TensorInfo TensorTable::Find(WeightRole role, int layer, int expert) const {
  if (role == kLmHead && spec_.tie_embeddings) role = kEmbedding;
  const TensorRule* rule = FindRule(kModelTensors, role);
  const bool in_layer = rule == nullptr;
  if (in_layer) rule = FindRule(kLayerTensors, role);
  if (rule == nullptr) rule = FindRule(ExpertTensors(spec_), role);
  CHECK(rule != nullptr) << "no tensor plays role " << static_cast<int>(role);
  TensorInfo info;
  info.role = role;
  if (in_layer) info.name = absl::StrCat("model.layers.", layer, ".");
  absl::StrAppend(&info.name,
                  absl::StrReplaceAll(rule->pattern, {{"{expert}", absl::StrCat(expert)}}));
  info.rows = SizeOf(spec_, rule->rows);
  info.columns = SizeOf(spec_, rule->columns);
  info.is_vector = rule->columns == kNone;
  info.rule = rule->rule;
  return info;
}

Slice TensorTable::SliceFor(const TensorInfo& tensor, const Layout& layout,
                            const RankPosition& position) const {
  Range rows = {0, tensor.rows};
  Range columns = {0, tensor.columns};
  const int64_t tp = std::max<uint32_t>(layout.attention_tp(), 1);
  const int64_t expert_tp = std::max<uint32_t>(layout.expert_tp(), 1);
  switch (tensor.rule) {
    case kReplicate:
      break;
    case kRows:
      rows = PartOf(tensor.rows, 1, position.tp_rank, tp);
      break;
    case kColumns:
      columns = PartOf(tensor.columns, 1, position.tp_rank, tp);
      break;
    case kKvRows:
      rows = PartOf(spec_.num_kv_heads, spec_.head_dim, position.tp_rank, tp);
      break;
    case kExpertRows:
      rows = PartOf(tensor.rows, 1, position.expert_tp_rank, expert_tp);
      break;
    case kExpertColumns:
      columns = PartOf(tensor.columns, 1, position.expert_tp_rank, expert_tp);
      break;
  }
  return {rows.first, rows.count, columns.first, columns.count};
}

std::vector<TensorInfo> TensorTable::NeededBy(const Layout& layout,
                                              const RankPosition& position) const {
  std::vector<TensorInfo> needed;
  if (position.first_stage) needed.push_back(Find(kEmbedding));
  const int experts_here = spec_.moe.num_experts / std::max<uint32_t>(layout.expert_ep(), 1);
  const int first_expert = static_cast<int>(position.ep_rank) * experts_here;
  for (int layer = position.first_layer; layer < position.end_layer; ++layer) {
    std::vector<WeightRole> roles = {kInputNorm, kPostAttentionNorm, kQ, kK, kV, kO};
    const auto add = [&roles](std::initializer_list<WeightRole> more) {
      roles.insert(roles.end(), more);
    };
    if (spec_.qkv_bias) add({kQBias, kKBias, kVBias});
    if (spec_.qk_norm) add({kQNorm, kKNorm});
    const bool is_moe = spec_.LayerIsMoe(layer);
    if (!is_moe) add({kGate, kUp, kDown});
    if (is_moe) add({kRouter});
    if (is_moe && spec_.moe.shared_expert_width > 0) {
      add({kSharedGate, kSharedUp, kSharedDown});
    }
    if (is_moe && spec_.moe.shared_expert_gate) add({kSharedExpertGate});
    for (WeightRole role : roles) needed.push_back(Find(role, layer));
    for (int expert = first_expert; is_moe && expert < first_expert + experts_here; ++expert) {
      for (WeightRole role : {kExpertGate, kExpertUp, kExpertDown}) {
        needed.push_back(Find(role, layer, expert));
      }
    }
  }
  if (position.last_stage) {
    needed.push_back(Find(kFinalNorm));
    needed.push_back(Find(kLmHead));
  }
  return needed;
}

}  // namespace regatta
