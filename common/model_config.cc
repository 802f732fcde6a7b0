// config.json and generation_config.json -> ModelSpec. A family is one row of kFamilies; every
// number is checked against a range in which no later product overflows 64 bits.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/json_fields.h"
#include "common/model_spec.h"
#include "common/quantization_config.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr int64_t kMaxLayers = 1 << 10;
constexpr int64_t kMaxHidden = 1 << 18;
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxExperts = 1 << 12;
constexpr int64_t kMaxHeads = 1 << 12;
constexpr int64_t kMaxHeadDim = 1 << 10;
constexpr int64_t kMaxVocab = 1 << 24;
constexpr int64_t kMaxPosition = 1 << 24;

enum class Experts { kNone, kMixtral, kQwen };
// Which layers have a sliding window when the file has no layer_types: none; all; all when
// use_sliding_window; those from max_window_layers on when use_sliding_window; or no rule,
// layer_types must be there when use_sliding_window.
enum class Sliding { kNone, kAll, kAllIfUsed, kUpperIfUsed, kListedIfUsed };

struct Family {
  const char* architecture;
  bool qkv_bias;
  bool qk_norm;
  Experts experts;
  Sliding sliding;
};
constexpr Family kFamilies[] = {
    {"LlamaForCausalLM", false, false, Experts::kNone, Sliding::kNone},
    {"MistralForCausalLM", false, false, Experts::kNone, Sliding::kAll},
    {"Qwen2ForCausalLM", true, false, Experts::kNone, Sliding::kUpperIfUsed},
    {"Qwen3ForCausalLM", false, true, Experts::kNone, Sliding::kUpperIfUsed},
    {"MixtralForCausalLM", false, false, Experts::kMixtral, Sliding::kAll},
    {"Qwen2MoeForCausalLM", true, false, Experts::kQwen, Sliding::kListedIfUsed},
    {"Qwen3MoeForCausalLM", false, true, Experts::kQwen, Sliding::kAllIfUsed},
};

absl::StatusOr<Family> FindFamily(const Json& config) {
  std::vector<std::string> known;
  for (const Family& family : kFamilies) known.push_back(family.architecture);
  const auto it = config.find("architectures");
  if (it == config.end() || !it->is_array() || it->size() != 1 || !it->front().is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "architectures must name one model class; known: ", absl::StrJoin(known, ", ")));
  }
  const std::string name = it->front().get<std::string>();
  for (const Family& family : kFamilies) {
    if (name == family.architecture) return family;
  }
  return absl::UnimplementedError(
      absl::StrCat("architecture ", name.substr(0, 80),
                   " is not supported; known: ", absl::StrJoin(known, ", ")));
}

// What would change the arithmetic of a forward pass and that no field of ModelSpec stands for.
absl::Status RefuseVariations(Fields& fields) {
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (fields.BoolOr(key, false)) {
      return absl::UnimplementedError(absl::StrCat(key, " = true is not supported"));
    }
  }
  if (const std::string act = fields.StringOr("hidden_act", "silu"); act != "silu") {
    return absl::UnimplementedError(absl::StrCat("hidden_act ", act, " is not supported; silu is"));
  }
  return absl::OkStatus();
}

void ReadDimensions(Fields& fields, ModelSpec& spec) {
  spec.vocab_size = fields.Int("vocab_size", 1, kMaxVocab);
  spec.hidden_size = fields.Int("hidden_size", 1, kMaxHidden);
  spec.num_layers = fields.Int("num_hidden_layers", 1, kMaxLayers);
  spec.num_heads = fields.Int("num_attention_heads", 1, kMaxHeads);
  spec.num_kv_heads = fields.IntOr("num_key_value_heads", spec.num_heads, 1, kMaxHeads);
  spec.norm_eps = fields.Double("rms_norm_eps", 1e-12, 1);
  spec.tie_embeddings = fields.BoolOr("tie_word_embeddings", false);
  spec.max_position = fields.Int("max_position_embeddings", 1, kMaxPosition);
  if (fields.Has("head_dim")) {
    spec.head_dim = fields.Int("head_dim", 2, kMaxHeadDim);
  } else if (spec.hidden_size % spec.num_heads != 0) {
    fields.Set(absl::InvalidArgumentError(
        absl::StrCat("hidden_size ", spec.hidden_size, " is not a multiple of ", spec.num_heads,
                     " num_attention_heads, and head_dim is not given")));
  } else {
    spec.head_dim = spec.hidden_size / spec.num_heads;
  }
  if (spec.head_dim % 2 != 0 || spec.head_dim > kMaxHeadDim) {
    fields.Set(absl::InvalidArgumentError(
        absl::StrCat("head_dim ", spec.head_dim, " must be even and at most ", kMaxHeadDim)));
  }
  if (spec.num_heads % spec.num_kv_heads != 0) {
    fields.Set(absl::InvalidArgumentError(absl::StrCat("num_attention_heads ", spec.num_heads,
                                                       " is not a multiple of ", spec.num_kv_heads,
                                                       " num_key_value_heads")));
  }
}

// transformers' modeling_rope_utils: attention_factor, or the ratio of DeepSeek's two mscales, or
// 0.1 ln(factor) + 1.
double YarnAttentionFactor(Fields& rope, double factor) {
  const auto scale = [factor](double mscale) { return 0.1 * mscale * std::log(factor) + 1; };
  if (rope.Has("attention_factor")) return rope.Double("attention_factor", 1e-3, 1e3);
  const double mscale = rope.DoubleOr("mscale", 0, 0, 1e3);
  const double mscale_all_dim = rope.DoubleOr("mscale_all_dim", 0, 0, 1e3);
  if (mscale > 0 && mscale_all_dim > 0) return scale(mscale) / scale(mscale_all_dim);
  return scale(1);
}

// The extension's own fields, and max_position stretched where config.json leaves it at the length
// before the extension.
void ReadRopeScaling(const std::string& type, Fields& rope, ModelSpec& spec) {
  RopeSpec& out = spec.rope;
  if (type == "default") return;
  if (type != "linear" && type != "llama3" && type != "yarn") {
    rope.Set(absl::UnimplementedError(absl::StrCat(
        "rope type ", type, " is not supported; known: default, linear, llama3, yarn")));
    return;
  }
  out.factor = rope.Double("factor", 1, 1e4);
  double max_position = spec.max_position;
  if (type == "linear") {
    out.kind = RopeKind::kLinear;
    max_position *= out.factor;
  } else if (type == "llama3") {
    out.kind = RopeKind::kLlama3;
    out.low_freq_factor = rope.Double("low_freq_factor", 1e-3, 1e6);
    out.high_freq_factor = rope.Double("high_freq_factor", 1e-3, 1e6);
    out.original_max_position = rope.Int("original_max_position_embeddings", 1, kMaxPosition);
    if (out.high_freq_factor <= out.low_freq_factor) {
      rope.Set(absl::InvalidArgumentError(
          absl::StrCat(rope.PathOf("high_freq_factor"), " ", out.high_freq_factor,
                       " must exceed low_freq_factor ", out.low_freq_factor)));
    }
  } else {
    out.kind = RopeKind::kYarn;
    out.beta_fast = rope.DoubleOr("beta_fast", 32, 1e-3, 1e6);
    out.beta_slow = rope.DoubleOr("beta_slow", 1, 1e-3, 1e6);
    out.attention_factor = YarnAttentionFactor(rope, out.factor);
    out.truncate = rope.BoolOr("truncate", true);
    out.original_max_position =
        rope.IntOr("original_max_position_embeddings", spec.max_position, 1, kMaxPosition);
    max_position = std::max(max_position, out.original_max_position * out.factor);
  }
  if (max_position > kMaxPosition) {
    rope.Set(absl::InvalidArgumentError(absl::StrCat("rope factor ", out.factor,
                                                     " stretches the context to ", max_position,
                                                     "; at most ", kMaxPosition)));
    return;
  }
  spec.max_position = static_cast<int>(max_position);
}

void RefusePartialRotary(Fields& fields) {
  const double part = fields.DoubleOr("partial_rotary_factor", 1, 0, 1);
  if (part == 1) return;
  fields.Set(absl::UnimplementedError(
      absl::StrCat(fields.PathOf("partial_rotary_factor"), " ", part, " is not supported; 1 is")));
}

void ReadRope(const Json& config, Fields& fields, absl::Status& status, ModelSpec& spec) {
  RefusePartialRotary(fields);
  spec.rope.theta = fields.DoubleOr("rope_theta", 10000, 2, 1e15);
  const char* key = fields.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!fields.Has(key)) return;
  if (!config.at(key).is_object()) return fields.Fail(key, "an object");
  Fields rope(config.at(key), absl::StrCat(key, "."), status);
  RefusePartialRotary(rope);
  for (const Json& value : config.at(key)) {
    if (!value.is_object()) continue;
    return rope.Set(absl::UnimplementedError(
        absl::StrCat(key, " differs between layer types; that is not supported")));
  }
  spec.rope.theta = rope.DoubleOr("rope_theta", spec.rope.theta, 2, 1e15);
  ReadRopeScaling(rope.StringOr("rope_type", rope.StringOr("type", "default")), rope, spec);
}

void ReadSlidingWindow(const Family& family, Fields& fields, ModelSpec& spec) {
  const bool used = family.sliding == Sliding::kAll || fields.BoolOr("use_sliding_window", false);
  if (family.sliding == Sliding::kNone || !used || !fields.Has("sliding_window")) return;
  const int window = fields.Int("sliding_window", 1, INT32_MAX);
  std::vector<bool> layers(spec.num_layers, true);
  if (fields.Has("layer_types")) {
    const Json& types = fields.Raw("layer_types");
    if (!types.is_array() || types.size() != layers.size()) {
      return fields.Fail("layer_types", absl::StrCat("an array of ", layers.size(), " names"));
    }
    for (size_t i = 0; i < layers.size(); ++i) {
      if (types[i] != "sliding_attention" && types[i] != "full_attention") {
        return fields.Fail("layer_types", "full_attention or sliding_attention for every layer");
      }
      layers[i] = types[i] == "sliding_attention";
    }
  } else if (family.sliding == Sliding::kUpperIfUsed) {
    const int first = fields.Int("max_window_layers", 0, INT32_MAX);
    for (int i = 0; i < spec.num_layers; ++i) layers[i] = i >= first;
  } else if (family.sliding == Sliding::kListedIfUsed) {
    return fields.Missing("layer_types");
  }
  if (std::find(layers.begin(), layers.end(), true) == layers.end()) return;
  spec.sliding_window = window;
  const bool all = std::find(layers.begin(), layers.end(), false) == layers.end();
  if (!all) spec.sliding_layer = std::move(layers);
}

// Layers of Qwen's MoE models that keep an ordinary MLP: those in mlp_only_layers, and all but
// every decoder_sparse_step-th.
std::vector<bool> ReadDenseLayers(Fields& fields, int num_layers) {
  std::vector<bool> dense(num_layers, false);
  const int step = fields.IntOr("decoder_sparse_step", 1, 1, kMaxLayers);
  for (int i = 0; i < num_layers; ++i) dense[i] = (i + 1) % step != 0;
  if (!fields.Has("mlp_only_layers")) return dense;
  const Json& listed = fields.Raw("mlp_only_layers");
  for (const Json& layer : listed) {
    if (!layer.is_number_unsigned() || layer.get<uint64_t>() >= dense.size()) {
      fields.Fail("mlp_only_layers", absl::StrCat("layer numbers below ", num_layers));
      return dense;
    }
    dense[layer.get<size_t>()] = true;
  }
  return dense;
}

void ReadMlp(const Family& family, Fields& fields, ModelSpec& spec) {
  MoeSpec& moe = spec.moe;
  if (family.experts == Experts::kNone) {
    spec.ffn_width = fields.Int("intermediate_size", 1, kMaxWidth);
    return;
  }
  const bool mixtral = family.experts == Experts::kMixtral;
  // transformers 5 writes Mixtral's spelling for all.
  const bool local = mixtral || fields.Has("num_local_experts");
  moe.num_experts = fields.Int(local ? "num_local_experts" : "num_experts", 1, kMaxExperts);
  moe.experts_per_token = fields.Int("num_experts_per_tok", 1, moe.num_experts);
  if (mixtral) {
    moe.expert_width = fields.Int("intermediate_size", 1, kMaxWidth);
    return;
  }
  moe.expert_width = fields.Int("moe_intermediate_size", 1, kMaxWidth);
  moe.normalize_topk = fields.BoolOr("norm_topk_prob", false);
  if (fields.Has("shared_expert_intermediate_size")) {
    moe.shared_expert_width = fields.Int("shared_expert_intermediate_size", 1, kMaxWidth);
    moe.shared_expert_gate = true;
  }
  std::vector<bool> dense = ReadDenseLayers(fields, spec.num_layers);
  const auto num_dense = std::count(dense.begin(), dense.end(), true);
  if (num_dense > 0) spec.ffn_width = fields.Int("intermediate_size", 1, kMaxWidth);
  if (num_dense == spec.num_layers) {
    moe = MoeSpec();
  } else if (num_dense > 0) {
    moe.dense_layer = std::move(dense);
  }
}

std::vector<uint32_t> ReadEos(Fields& fields) {
  std::vector<uint32_t> ids;
  if (!fields.Has("eos_token_id")) return ids;
  const Json& value = fields.Raw("eos_token_id");
  for (const Json& id : value.is_array() ? value : Json::array({value})) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > UINT32_MAX) {
      fields.Fail("eos_token_id", "a token id or a list of them");
      break;
    }
    ids.push_back(id.get<uint32_t>());
  }
  return ids;
}

void ReadDType(Fields& fields, ModelSpec& spec) {
  std::string dtype = fields.StringOr("dtype", fields.StringOr("torch_dtype", "float32"));
  spec.torch_dtype = std::string(absl::StripPrefix(dtype, "torch."));
  if (spec.torch_dtype != "float32" && spec.torch_dtype != "bfloat16" &&
      spec.torch_dtype != "float16") {
    fields.Set(absl::UnimplementedError(absl::StrCat(
        "dtype ", spec.torch_dtype, " is not supported; known: float32, bfloat16, float16")));
  }
}

// The key under which config.json tells its scheme; null when it tells none.
const char* QuantizationKey(const Fields& fields) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (fields.Has(key)) return key;
  }
  return nullptr;
}

// All that config.json alone says.
absl::StatusOr<ModelSpec> ReadConfig(const Json& config) {
  ASSIGN_OR_RETURN(const Family family, FindFamily(config));
  absl::Status status;
  Fields fields(config, "", status);
  RETURN_IF_ERROR(RefuseVariations(fields));
  ModelSpec spec;
  if (const char* key = QuantizationKey(fields)) {
    ASSIGN_OR_RETURN(spec.quantization, ParseQuantizationConfig(fields.Raw(key)));
  }
  spec.architecture = family.architecture;
  spec.qkv_bias = family.qkv_bias && fields.BoolOr("qkv_bias", true);
  spec.qk_norm = family.qk_norm;
  ReadDimensions(fields, spec);
  RETURN_IF_ERROR(status);  // what follows divides by and sizes with these
  ReadRope(config, fields, status, spec);
  ReadSlidingWindow(family, fields, spec);
  ReadMlp(family, fields, spec);
  ReadDType(fields, spec);
  spec.eos_token_ids = ReadEos(fields);
  RETURN_IF_ERROR(status);
  return spec;
}

}  // namespace

absl::StatusOr<ModelSpec> ParseModelSpec(const std::string& name, const std::string& config_text,
                                         const std::string& generation_config_text,
                                         const std::string& modelopt_text) {
  ASSIGN_OR_RETURN(const Json config, ParseObject(config_text, "config.json"));
  absl::StatusOr<ModelSpec> read = ReadConfig(config);
  if (!read.ok()) return InFile("config.json", read.status());
  ModelSpec spec = *std::move(read);
  spec.name = name;
  absl::Status status;
  if (QuantizationKey(Fields(config, "", status)) == nullptr && !modelopt_text.empty()) {
    ASSIGN_OR_RETURN(spec.quantization, ParseModelOptConfig(modelopt_text));
  }
  if (!generation_config_text.empty()) {
    ASSIGN_OR_RETURN(const Json generation,
                     ParseObject(generation_config_text, "generation_config.json"));
    Fields overrides(generation, "generation_config.json: ", status);
    if (overrides.Has("eos_token_id")) spec.eos_token_ids = ReadEos(overrides);
    RETURN_IF_ERROR(status);
  }
  return spec;
}

}  // namespace regatta
