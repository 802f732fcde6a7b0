// Families, spellings and refusals of config.json; parameter counts against those that the models'
// authors publish.
#include "common/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/testing/models.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

Json LlamaConfig() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 1000},
          {"hidden_size", 64},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"intermediate_size", 128},
          {"rms_norm_eps", 1e-6},
          {"max_position_embeddings", 2048}};
}

Json With(Json config, const std::string& key, const Json& value) {
  config[key] = value;
  return config;
}

Json Without(Json config, const std::string& key) {
  config.erase(key);
  return config;
}

absl::StatusOr<ModelSpec> Parse(const Json& config, const std::string& generation = "") {
  return ParseModelSpec("test", config.dump(), generation);
}

// The error of a configuration that must be refused.
absl::Status ErrorOf(const Json& config) {
  auto spec = Parse(config);
  EXPECT_FALSE(spec.ok()) << config;
  return spec.ok() ? absl::OkStatus() : spec.status();
}

TEST(ModelSpecTest, ParameterCountsEqualThePublishedOnes) {
  EXPECT_EQ(PublishedModel("llama-3.1-8b").NumParameters(), 8'030'261'248);
  EXPECT_EQ(PublishedModel("llama-3.3-70b").NumParameters(), 70'553'706'496);
  EXPECT_EQ(PublishedModel("llama-3.2-1b").NumParameters(), 1'235'814'400);
  EXPECT_EQ(PublishedModel("mistral-7b-v0.1").NumParameters(), 7'241'732'096);
  EXPECT_EQ(PublishedModel("mixtral-8x7b").NumParameters(), 46'702'792'704);
  EXPECT_EQ(PublishedModel("qwen2.5-7b").NumParameters(), 7'615'616'512);
  EXPECT_EQ(PublishedModel("qwen3-8b").NumParameters(), 8'190'735'360);
  EXPECT_EQ(PublishedModel("qwen3-30b-a3b").NumParameters(), 30'532'122'624);
  EXPECT_EQ(PublishedModel("qwen1.5-moe-a2.7b").NumParameters(), 14'315'784'192);
}

TEST(ModelSpecTest, KvBytesPerToken) {
  const ModelSpec llama = PublishedModel("llama-3.1-8b");
  EXPECT_EQ(llama.KvBytesPerToken(2, 1), 128 * 1024);
  EXPECT_EQ(llama.KvBytesPerToken(1, 2), 32 * 1024);
  EXPECT_EQ(llama.KvBytesPerToken(2, 8), 16 * 1024);
  EXPECT_EQ(llama.KvBytesPerToken(2, 32), 16 * 1024) << "KV heads are replicated beyond 8 ranks";
  EXPECT_EQ(PublishedModel("llama-3.3-70b").KvBytesPerToken(2, 1), 320 * 1024);
  EXPECT_EQ(PublishedModel("qwen2.5-7b").KvBytesPerToken(2, 1), 56 * 1024);
}

TEST(ModelSpecTest, ReadsLlama31) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  EXPECT_EQ(spec.architecture, "LlamaForCausalLM");
  EXPECT_EQ(spec.name, "llama-3.1-8b");
  EXPECT_EQ(spec.head_dim, 128);
  EXPECT_EQ(spec.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(spec.rope.theta, 500000);
  EXPECT_EQ(spec.rope.factor, 8);
  EXPECT_EQ(spec.rope.original_max_position, 8192);
  EXPECT_EQ(spec.max_position, 131072);
  EXPECT_EQ(spec.torch_dtype, "bfloat16");
  EXPECT_THAT(spec.eos_token_ids, ElementsAre(128001, 128008, 128009));
  EXPECT_FALSE(spec.is_moe());
  EXPECT_TRUE(spec.HasDenseMlp());
}

TEST(ModelSpecTest, ReadsTransformers5Spelling) {
  const ModelSpec spec = PublishedModel("llama-3.2-1b");
  EXPECT_EQ(spec.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(spec.rope.theta, 500000);
  EXPECT_EQ(spec.rope.factor, 32);
  EXPECT_EQ(spec.torch_dtype, "bfloat16");
  EXPECT_TRUE(spec.tie_embeddings);
}

TEST(ModelSpecTest, DefaultsOfOldLlama) {
  auto spec = Parse(LlamaConfig());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->num_kv_heads, 4);
  EXPECT_EQ(spec->head_dim, 16);
  EXPECT_EQ(spec->rope.theta, 10000);
  EXPECT_EQ(spec->rope.kind, RopeKind::kDefault);
  EXPECT_EQ(spec->torch_dtype, "float32");
  EXPECT_TRUE(spec->eos_token_ids.empty());
}

TEST(ModelSpecTest, FamiliesDifferInFields) {
  const ModelSpec qwen2 = PublishedModel("qwen2.5-7b");
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  EXPECT_EQ(qwen2.sliding_window, 0) << "use_sliding_window is false";
  const ModelSpec qwen3 = PublishedModel("qwen3-8b");
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_EQ(PublishedModel("mistral-7b-v0.1").sliding_window, 4096);
  EXPECT_TRUE(PublishedModel("mistral-7b-v0.1").LayerIsSliding(31));
  EXPECT_EQ(PublishedModel("mixtral-8x7b").sliding_window, 0) << "null means full attention";
}

TEST(ModelSpecTest, MixtureOfExperts) {
  const ModelSpec mixtral = PublishedModel("mixtral-8x7b");
  EXPECT_EQ(mixtral.moe.num_experts, 8);
  EXPECT_EQ(mixtral.moe.experts_per_token, 2);
  EXPECT_EQ(mixtral.moe.expert_width, 14336);
  EXPECT_TRUE(mixtral.moe.normalize_topk);
  EXPECT_EQ(mixtral.ffn_width, 0);
  EXPECT_FALSE(mixtral.HasDenseMlp());
  const ModelSpec qwen3 = PublishedModel("qwen3-30b-a3b");
  EXPECT_EQ(qwen3.moe.num_experts, 128);
  EXPECT_EQ(qwen3.moe.expert_width, 768);
  EXPECT_TRUE(qwen3.moe.normalize_topk);
  EXPECT_EQ(qwen3.moe.shared_expert_width, 0);
  const ModelSpec qwen2 = PublishedModel("qwen1.5-moe-a2.7b");
  EXPECT_EQ(qwen2.moe.shared_expert_width, 5632);
  EXPECT_TRUE(qwen2.moe.shared_expert_gate);
  EXPECT_FALSE(qwen2.moe.normalize_topk);
  EXPECT_TRUE(qwen2.qkv_bias);
}

Json Qwen3MoeConfig() {
  Json config = LlamaConfig();
  config["architectures"] = {"Qwen3MoeForCausalLM"};
  config["num_experts"] = 8;
  config["num_experts_per_tok"] = 2;
  config["moe_intermediate_size"] = 32;
  return config;
}

TEST(ModelSpecTest, SparseStepAndMlpOnlyLayers) {
  Json config = With(Qwen3MoeConfig(), "decoder_sparse_step", 2);
  config["mlp_only_layers"] = {3};
  auto spec = Parse(config);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(spec->LayerIsMoe(0));
  EXPECT_TRUE(spec->LayerIsMoe(1));
  EXPECT_FALSE(spec->LayerIsMoe(2));
  EXPECT_FALSE(spec->LayerIsMoe(3)) << "listed in mlp_only_layers";
  EXPECT_EQ(spec->ffn_width, 128);
  config["mlp_only_layers"] = {1, 3};
  EXPECT_FALSE(Parse(config)->is_moe()) << "no layer has experts";
  config["mlp_only_layers"] = {4};
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("mlp_only_layers is [4]"));
}

TEST(ModelSpecTest, SlidingLayersOfQwen) {
  Json config = LlamaConfig();
  config["architectures"] = {"Qwen2ForCausalLM"};
  config["sliding_window"] = 16;
  config["use_sliding_window"] = true;
  config["max_window_layers"] = 3;
  auto spec = Parse(config);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(spec->LayerIsSliding(2));
  EXPECT_TRUE(spec->LayerIsSliding(3));
  config["max_window_layers"] = 4;
  EXPECT_EQ(Parse(config)->sliding_window, 0);
  config["layer_types"] = {"sliding_attention", "full_attention", "full_attention",
                           "full_attention"};
  EXPECT_TRUE(Parse(config)->LayerIsSliding(0)) << "layer_types wins";
  config["layer_types"] = {"sliding_attention"};
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("an array of 4 names"));
}

TEST(ModelSpecTest, RopeExtensions) {
  Json config = With(LlamaConfig(), "rope_scaling", {{"type", "linear"}, {"factor", 4.0}});
  auto linear = Parse(config);
  ASSERT_TRUE(linear.ok()) << linear.status();
  EXPECT_EQ(linear->rope.kind, RopeKind::kLinear);
  EXPECT_EQ(linear->max_position, 8192);

  config["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}};
  auto yarn = Parse(config);
  ASSERT_TRUE(yarn.ok()) << yarn.status();
  EXPECT_EQ(yarn->rope.kind, RopeKind::kYarn);
  EXPECT_EQ(yarn->max_position, 8192);
  EXPECT_NEAR(yarn->rope.attention_factor, 1.1386294361, 1e-9);  // 0.1 ln 4 + 1
  config["rope_scaling"]["attention_factor"] = 1.5;
  EXPECT_EQ(Parse(config)->rope.attention_factor, 1.5);
  config["rope_scaling"].erase("attention_factor");
  config["rope_scaling"]["mscale"] = 0.707;
  config["rope_scaling"]["mscale_all_dim"] = 0.707;
  EXPECT_EQ(Parse(config)->rope.attention_factor, 1);
}

TEST(ModelSpecTest, RefusesRopeItDoesNotKnow) {
  Json config = With(LlamaConfig(), "rope_scaling", {{"type", "longrope"}, {"factor", 4.0}});
  EXPECT_EQ(ErrorOf(config).code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("known: default, linear, llama3, yarn"));
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 0.5}};
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("rope_scaling.factor is 0.5"));
  config["rope_scaling"] = {{"type", "linear"}};
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("rope_scaling.factor is missing"));
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 1e4}};
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("stretches the context"));
  config["rope_scaling"] = {{"type", "llama3"},
                            {"factor", 8},
                            {"low_freq_factor", 4},
                            {"high_freq_factor", 4},
                            {"original_max_position_embeddings", 1024}};
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("must exceed low_freq_factor"));
  config["rope_scaling"] = "llama3";
  EXPECT_THAT(ErrorOf(config).message(), HasSubstr("expected an object"));
  config = With(LlamaConfig(), "rope_parameters", {{"full_attention", {{"rope_theta", 1e6}}}});
  EXPECT_EQ(ErrorOf(config).code(), absl::StatusCode::kUnimplemented);
  config = With(LlamaConfig(), "rope_parameters", {{"partial_rotary_factor", 0.5}});
  EXPECT_EQ(ErrorOf(config).code(), absl::StatusCode::kUnimplemented);
}

TEST(ModelSpecTest, UnknownArchitecturesNameTheKnown) {
  const absl::Status status = ErrorOf(With(LlamaConfig(), "architectures", {"GPT2LMHeadModel"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(status.message(), HasSubstr("GPT2LMHeadModel is not supported"));
  EXPECT_THAT(status.message(), HasSubstr("Qwen3MoeForCausalLM"));
  for (const Json& bad : {Json(nullptr), Json("Llama"), Json::array(), Json::array({1})}) {
    EXPECT_EQ(ErrorOf(With(LlamaConfig(), "architectures", bad)).code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(ModelSpecTest, RefusesVariationsByName) {
  const Json awq = {{"quant_method", "awq"}};
  absl::Status status = ErrorOf(With(LlamaConfig(), "quantization_config", awq));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(status.message(), HasSubstr("scheme 'awq'"));
  EXPECT_TRUE(Parse(With(LlamaConfig(), "quantization_config", nullptr)).ok());
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    status = ErrorOf(With(LlamaConfig(), key, true));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(status.message(), HasSubstr(key));
  }
  EXPECT_THAT(ErrorOf(With(LlamaConfig(), "hidden_act", "gelu")).message(), HasSubstr("gelu"));
  EXPECT_THAT(ErrorOf(With(LlamaConfig(), "torch_dtype", "int8")).message(), HasSubstr("int8"));
}

TEST(ModelSpecTest, RefusesMissingFields) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "rms_norm_eps", "max_position_embeddings"}) {
    const absl::Status status = ErrorOf(Without(LlamaConfig(), key));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(std::string(key) + " is missing"));
  }
}

TEST(ModelSpecTest, RefusesNumbersOutOfRange) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "intermediate_size", "max_position_embeddings"}) {
    for (const Json& bad : {Json(0), Json(-1), Json(INT64_MIN), Json(INT64_MAX), Json(UINT64_MAX),
                            Json(1e300), Json(2.5), Json("8"), Json::array()}) {
      const absl::Status status = ErrorOf(With(LlamaConfig(), key, bad));
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(status.message(), HasSubstr(key));
      EXPECT_THAT(status.message(), HasSubstr(bad.dump()));
    }
  }
  EXPECT_THAT(ErrorOf(With(LlamaConfig(), "head_dim", 15)).message(), HasSubstr("must be even"));
  EXPECT_THAT(ErrorOf(With(LlamaConfig(), "num_key_value_heads", 3)).message(),
              HasSubstr("not a multiple of 3"));
  EXPECT_THAT(ErrorOf(With(LlamaConfig(), "num_attention_heads", 3)).message(),
              HasSubstr("head_dim is not given"));
  EXPECT_THAT(ErrorOf(With(Qwen3MoeConfig(), "num_experts_per_tok", 9)).message(),
              HasSubstr("from 1 to 8"));
}

// The largest values that are accepted one by one must not overflow a product of them.
TEST(ModelSpecTest, Transformers5WritesExpertsLikeMixtral) {
  Json config = Qwen3MoeConfig();
  config["num_local_experts"] = config["num_experts"];
  config.erase("num_experts");
  EXPECT_EQ(Parse(config)->moe.num_experts, Parse(Qwen3MoeConfig())->moe.num_experts);
}

TEST(ModelSpecTest, ProductsOfTheLimitsFit64Bits) {
  Json config = With(Qwen3MoeConfig(), "num_experts", 4096);
  config["moe_intermediate_size"] = 1 << 20;
  config["hidden_size"] = 1 << 18;
  config["num_hidden_layers"] = 1 << 10;
  config["num_attention_heads"] = 1 << 12;
  config["head_dim"] = 1 << 10;
  config["vocab_size"] = 1 << 24;
  auto spec = Parse(config);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_GT(spec->NumParameters(), int64_t{3} << 60);
  EXPECT_GT(spec->KvBytesPerToken(4, 1), int64_t{1} << 34);
}

TEST(ModelSpecTest, EosTokenIds) {
  const Json config = With(LlamaConfig(), "eos_token_id", 7);
  EXPECT_THAT(Parse(config)->eos_token_ids, ElementsAre(7));
  EXPECT_THAT(Parse(config, R"({"eos_token_id": [8, 9]})")->eos_token_ids, ElementsAre(8, 9));
  EXPECT_THAT(Parse(config, R"({"eos_token_id": 8})")->eos_token_ids, ElementsAre(8));
  EXPECT_THAT(Parse(config, R"({"eos_token_id": null})")->eos_token_ids, ElementsAre(7));
  EXPECT_THAT(Parse(config, R"({"eos_token_id": -1})").status().message(),
              HasSubstr("generation_config.json: eos_token_id is -1"));
  EXPECT_THAT(Parse(config, "[").status().message(),
              HasSubstr("generation_config.json is not valid JSON"));
}

TEST(ModelSpecTest, RefusesTextThatIsNoConfiguration) {
  for (const char* text : {"", "{", "[]", "7", "\"x\"", "{\"architectures\": [\"\xff\"]}"}) {
    EXPECT_EQ(ParseModelSpec("test", text, "").status().code(), absl::StatusCode::kInvalidArgument);
  }
  const std::string deep(1'000'000, '[');
  EXPECT_FALSE(ParseModelSpec("test", deep, "").ok());
}

TEST(ModelSpecTest, MissingDirectoryIsNamed) {
  const absl::Status status = LoadModelSpec("/nowhere/model").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("/nowhere/model"));
  EXPECT_EQ(LoadModelSpec(REGATTA_SOURCE_DIR).status().code(), absl::StatusCode::kNotFound);
}

TEST(ModelSpecTest, SnapshotsInTheHuggingFaceCacheAreNamedAfterTheirRepository) {
  const TempDir dir;
  const std::string snapshot = "models--maker--Some-Model-8B/snapshots/0123abcd";
  std::filesystem::create_directories(dir.File(snapshot));
  dir.Write(snapshot + "/config.json", LlamaConfig().dump());
  for (const char* slash : {"", "/"}) {
    auto spec = LoadModelSpec(dir.File(snapshot) + slash);
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->name, "Some-Model-8B");
  }
  dir.Write(snapshot + "/hf_quant_config.json", "{}");
  EXPECT_EQ(LoadModelSpec(dir.File(snapshot)).status().code(), absl::StatusCode::kUnimplemented);
  dir.Write(snapshot + "/hf_quant_config.json", R"({"quantization": {"quant_algo": "FP8"}})");
  auto spec = LoadModelSpec(dir.File(snapshot));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->quantization.scheme, QuantizationScheme::kTensor);
}

}  // namespace
}  // namespace regatta
