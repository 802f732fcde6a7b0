// Configurations of tiny models of several families, for dummy weights. Test-only.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace regatta {

// Every size divides by 8, so that tp 8 and pp 8 fit.
inline std::string TinyConfig(const std::string& architecture, const std::string& model_type,
                              const std::string& more) {
  return absl::StrCat(R"({"architectures": [")", architecture, R"("], "model_type": ")", model_type,
                      R"(", "hidden_size": 64, "num_hidden_layers": 8, "num_attention_heads": 8,
    "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "vocab_size": 256,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "hidden_act": "silu",
    "eos_token_id": 1)",
                      more, "}");
}

inline std::string TinyLlama() { return TinyConfig("LlamaForCausalLM", "llama", ""); }
inline std::string TinyMistral() {
  return TinyConfig("MistralForCausalLM", "mistral", R"(, "sliding_window": 24)");
}
inline std::string TinyQwen2() { return TinyConfig("Qwen2ForCausalLM", "qwen2", ""); }
inline std::string TinyQwen3() { return TinyConfig("Qwen3ForCausalLM", "qwen3", ""); }
inline std::string TinyMixtral() {
  return TinyConfig("MixtralForCausalLM", "mixtral",
                    R"(, "num_local_experts": 8, "num_experts_per_tok": 2)");
}
inline std::string TinyQwen3Moe() {
  return TinyConfig("Qwen3MoeForCausalLM", "qwen3_moe",
                    R"(, "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 64,
    "norm_topk_prob": true, "decoder_sparse_step": 2, "mlp_only_layers": [])");
}
// With a gated shared expert.
inline std::string TinyQwen2Moe() {
  return TinyConfig("Qwen2MoeForCausalLM", "qwen2_moe",
                    R"(, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64, "norm_topk_prob": false, "decoder_sparse_step": 1,
    "mlp_only_layers": [])");
}

}  // namespace regatta
