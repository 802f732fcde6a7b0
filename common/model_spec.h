// A model family as data: config.json read into plain fields. A branch anywhere in the model code
// must be on one of these fields. Knows no weights and no device; parameter counts, KV bytes and
// divisibility are pure functions of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/quantization.h"

namespace regatta {

enum class RopeKind { kDefault, kLinear, kLlama3, kYarn };
enum class RouterScore { kSoftmax, kSigmoid };

// Rotary embedding (Su et al. 2021) and its context extensions, named as in config.json's
// rope_scaling.
struct RopeSpec {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000.0;
  double factor = 1.0;
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;  // llama3
  int original_max_position = 0;  // llama3, yarn
  double beta_fast = 32.0;        // yarn
  double beta_slow = 1.0;         // yarn
  double attention_factor = 1.0;  // yarn: cos and sin are multiplied by it; 0.1 ln(factor) + 1
                                  // unless the file says otherwise
  bool truncate = true;           // yarn: round the bounds of its ramp to whole dimensions
};

struct MoeSpec {
  int num_experts = 0;  // 0 = dense model
  int experts_per_token = 0;
  int expert_width = 0;  // intermediate size of one expert
  RouterScore score = RouterScore::kSoftmax;
  bool normalize_topk = true;  // weights of the chosen experts sum to one
  double routed_scaling = 1.0;
  int shared_expert_width = 0;      // 0 = no shared experts
  bool shared_expert_gate = false;  // Qwen2-MoE: sigmoid gate on the shared expert
  std::vector<bool> dense_layer;    // per layer: true = an ordinary MLP instead of experts
                                    // (Qwen3-MoE's sparse step)
};

struct ModelSpec {
  std::string architecture;  // e.g. "LlamaForCausalLM"
  std::string name;          // last component of the directory
  int vocab_size = 0;
  int hidden_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int ffn_width = 0;  // intermediate size of dense MLPs; 0 = every layer has experts
  double norm_eps = 1e-5;
  bool tie_embeddings = false;
  bool qkv_bias = false;            // Qwen2
  bool qk_norm = false;             // Qwen3: RMSNorm over head_dim of q and k before rope
  int sliding_window = 0;           // 0 = full attention
  std::vector<bool> sliding_layer;  // per layer; empty = all layers when sliding_window > 0
  int max_position = 0;             // longest context, the rope extension included
  RopeSpec rope;
  MoeSpec moe;
  QuantizationSpec quantization;
  std::string torch_dtype;              // of the checkpoint: float32 | bfloat16 | float16
  std::vector<uint32_t> eos_token_ids;  // config.json, overridden by generation_config.json

  bool is_moe() const { return moe.num_experts > 0; }
  bool LayerIsMoe(int layer) const;
  bool LayerIsSliding(int layer) const;
  bool HasDenseMlp() const;  // any layer with an ordinary MLP
  // All weights, embeddings counted once when tied.
  int64_t NumParameters() const;
  // Those of matrices that a quantised model stores in one byte.
  int64_t NumQuantizableParameters() const;
  // Mean bytes of a weight, when plain ones have `plain_bytes` and `quantization` holds.
  double WeightBytesPerParameter(double plain_bytes) const;
  // Keys and values of one token over all layers, in bytes, for one rank of `tp` (KV heads are
  // replicated beyond their number).
  int64_t KvBytesPerToken(int bytes_per_element, int tp) const;
};

// "Llama-3.1-8B" of .../Llama-3.1-8B/ and, in the Hugging Face cache, of
// .../models--meta-llama--Llama-3.1-8B/snapshots/<commit>.
std::string ModelNameOf(const std::string& model_dir);

// Reads config.json and, where there are any, generation_config.json and hf_quant_config.json of
// `model_dir` (a local directory in Hugging Face layout). A snapshot in the Hugging Face cache is
// named after its repository. Errors: NOT_FOUND (file), INVALID_ARGUMENT (field, value, limit),
// UNIMPLEMENTED (architecture or scheme; names those that are known).
absl::StatusOr<ModelSpec> LoadModelSpec(const std::string& model_dir);

// The same from the text of the files; all but `config` may be empty. Reads the spelling of
// transformers 4 (rope_theta, rope_scaling, torch_dtype) and of transformers 5 (rope_parameters,
// dtype).
absl::StatusOr<ModelSpec> ParseModelSpec(const std::string& name, const std::string& config,
                                         const std::string& generation_config,
                                         const std::string& hf_quant_config = "");

}  // namespace regatta
