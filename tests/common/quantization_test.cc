// Schemes as published configurations spell them, what the command line makes of them, and what
// follows for memory and layouts.
#include "common/quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/layout.h"
#include "common/limits.h"
#include "common/quantization_config.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

const char kModelOptFile[] = R"({
  "producer": {"name": "modelopt", "version": "0.29"},
  "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8",
                   "exclude_modules": ["lm_head"]}})";
const char kModelOptConfig[] = R"({
  "quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"],
  "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": false}})";

// Compressed-tensors with the given weights and inputs.
Json Compressed(const std::string& weights, const std::string& inputs) {
  return Json::parse(R"({"quant_method": "compressed-tensors", "format": "float-quantized",
      "config_groups": {"group_0": {"targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "float", "dynamic": false, )" +
                     weights + R"(},
        "input_activations": {"num_bits": 8, "type": "float", )" +
                     inputs + R"(}}},
      "ignore": ["lm_head"], "kv_cache_scheme": null})");
}

QuantizationSpec Parse(const Json& config) {
  auto spec = ParseQuantizationConfig(config);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(QuantizationSpec());
}

TEST(QuantizationConfig, ReadsPublishedSchemes) {
  auto modelopt = ParseModelOptConfig(kModelOptFile);
  ASSERT_TRUE(modelopt.ok()) << modelopt.status();
  for (const QuantizationSpec& spec : {*modelopt, Parse(Json::parse(kModelOptConfig))}) {
    EXPECT_EQ(spec.scheme, QuantizationScheme::kTensor);
    EXPECT_EQ(spec.scale_name, "weight_scale");
    EXPECT_TRUE(spec.kv_cache);
  }
  const QuantizationSpec fixed =
      Parse(Compressed(R"("strategy": "tensor")", R"("strategy": "tensor", "dynamic": false)"));
  EXPECT_EQ(fixed.scheme, QuantizationScheme::kTensor);
  EXPECT_FALSE(fixed.kv_cache);
  for (const char* strategy : {R"("strategy": "channel")", R"("strategy": "tensor")"}) {
    EXPECT_EQ(
        Parse(Compressed(strategy, R"("strategy": "token", "group_size": -1, "dynamic": true)"))
            .scheme,
        QuantizationScheme::kChannel);
  }
  EXPECT_EQ(Parse(Compressed(R"("strategy": "block", "block_structure": [128, 128])",
                             R"("strategy": "group", "group_size": 128, "dynamic": true)"))
                .scheme,
            QuantizationScheme::kBlock);
  const QuantizationSpec block =
      Parse({{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}, {"fmt", "e4m3"}});
  EXPECT_EQ(block.scheme, QuantizationScheme::kBlock);
  EXPECT_EQ(block.scale_name, "weight_scale_inv");
  EXPECT_EQ(Parse({{"quant_method", "fp8"}, {"activation_scheme", "static"}}).scheme,
            QuantizationScheme::kTensor);
}

TEST(QuantizationConfig, RefusesOthersByNameAndListsTheKnown) {
  const std::pair<Json, const char*> refused[] = {
      {{{"quant_method", "gptq"}}, "'gptq'"},
      {{{"bits", 4}}, "''"},
      {{{"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}}, "'NVFP4'"},
      {{{"quant_method", "fp8"}, {"weight_block_size", {64, 128}}}, "[64,128]"},
      {{{"quant_method", "fp8"},
        {"weight_block_size", {128, 128}},
        {"activation_scheme", "static"}},
       "static"},
      {{{"quant_method", "compressed-tensors"}, {"format", "pack-quantized"}}, "pack-quantized"},
      {Compressed(R"("strategy": "channel")", R"("strategy": "tensor", "dynamic": false)"),
       "per channel (static), input_activations fp8 per tensor (static)"},
      {Compressed(R"("strategy": "channel", "num_bits": 4)",
                  R"("strategy": "token", "dynamic": true)"),
       "another type"},
  };
  for (const auto& [config, name] : refused) {
    const absl::Status status = ParseQuantizationConfig(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << config.dump();
    EXPECT_THAT(status.message(), HasSubstr(name));
    EXPECT_THAT(status.message(), HasSubstr("known: modelopt FP8"));
  }
  for (const char* text : {"[1]", "{", R"({"quantization": {"quant_algo": 8}})"}) {
    EXPECT_EQ(ParseModelOptConfig(text).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ParseQuantizationConfig(Json::array()).status().code(),
            absl::StatusCode::kInvalidArgument);
  const Json wrong = {{"quant_method", "fp8"}, {"activation_scheme", 3}};
  EXPECT_THAT(ParseQuantizationConfig(wrong).status().message(),
              HasSubstr("quantization_config.activation_scheme is 3"));
}

constexpr char kTensorScales[] = R"({"quant_method": "fp8", "activation_scheme": "static")";

TEST(QuantizationConfig, KeysAndValuesMustBeFp8) {
  const auto with = [](const std::string& scheme) {
    return ParseQuantizationConfig(
        Json::parse(absl::StrCat(kTensorScales, ", \"kv_cache_scheme\": ", scheme, "}")));
  };
  EXPECT_TRUE(with(R"({"type": "float", "num_bits": 8})")->kv_cache);
  EXPECT_FALSE(with("null")->kv_cache);
  for (const char* other : {R"({"type": "int", "num_bits": 8})", R"({"num_bits": 8})",
                            R"({"type": "float", "num_bits": 4})"}) {
    EXPECT_EQ(with(other).status().code(), absl::StatusCode::kUnimplemented) << other;
    EXPECT_THAT(std::string(with(other).status().message()), HasSubstr("kv_cache_scheme of type"));
  }
  EXPECT_EQ(with(R"("fp8")").status().message(),
            "quantization_config.kv_cache_scheme holds string; expected an object");
  EXPECT_THAT(std::string(with(R"({"type": 8})").status().message()),
              HasSubstr("kv_cache_scheme.type is 8; expected a string"));
}

TEST(ResolveQuantization, TheCheckpointWinsWhereItIsQuantised) {
  const QuantizationSpec plain;
  const QuantizationSpec block = {.scheme = QuantizationScheme::kBlock};
  EXPECT_FALSE(ResolveQuantization("", false, plain)->enabled());
  EXPECT_EQ(ResolveQuantization("auto", false, block)->scheme, QuantizationScheme::kBlock);
  EXPECT_EQ(ResolveQuantization("fp8", false, block)->scheme, QuantizationScheme::kBlock);
  const QuantizationSpec online = *ResolveQuantization("fp8", false, plain);
  EXPECT_EQ(online.scheme, QuantizationScheme::kChannel);
  EXPECT_TRUE(online.online);
  EXPECT_EQ(QuantizationName(online), "fp8 per channel (online)");
  EXPECT_EQ(QuantizationName(block), "fp8 per block of 128");
  EXPECT_EQ(QuantizationName(plain), "");
  EXPECT_EQ(ResolveQuantization("fp8_static", true, plain)->scheme, QuantizationScheme::kTensor);
  for (const auto& status : {ResolveQuantization("fp8_static", false, plain).status(),
                             ResolveQuantization("int4", true, plain).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("fp8_static"));
  }
}

// 2 layers of 8 heads of 64 over 512, 4 KV heads, MLP 768.
ModelSpec SmallSpec(QuantizationScheme scheme) {
  ModelSpec spec;
  spec.name = "small";
  spec.vocab_size = 1024;
  spec.hidden_size = 512;
  spec.num_layers = 2;
  spec.num_heads = 8;
  spec.num_kv_heads = 4;
  spec.head_dim = 64;
  spec.ffn_width = 768;
  spec.quantization.scheme = scheme;
  return spec;
}

TEST(QuantizedSpec, OnlyLayersShrink) {
  const ModelSpec plain = SmallSpec(QuantizationScheme::kNone);
  EXPECT_EQ(plain.WeightBytesPerParameter(2), 2);
  const ModelSpec quantised = SmallSpec(QuantizationScheme::kTensor);
  const int64_t layers = 2 * (512 * (512 + 256 + 256) + 512 * 512 + 3 * 512 * 768);
  EXPECT_EQ(quantised.NumQuantizableParameters(), layers);
  const double bytes = quantised.WeightBytesPerParameter(2) * quantised.NumParameters();
  EXPECT_NEAR(bytes, layers + 2.0 * (2 * 1024 * 512 + 512 + 2 * 2 * 512), 1);
}

TEST(QuantizedSpec, ALayoutThatCutsABlockIsRefused) {
  for (const uint32_t tp : {1, 2, 4}) {
    const absl::StatusOr<Layout> layout = MakeLayout(tp, 1, 1, 1);
    EXPECT_TRUE(CheckLayout(SmallSpec(QuantizationScheme::kChannel), *layout).ok());
    const absl::Status status = CheckLayout(SmallSpec(QuantizationScheme::kBlock), *layout);
    EXPECT_EQ(status.ok(), tp < 4) << status;
    if (status.ok()) continue;
    EXPECT_THAT(status.message(), HasSubstr("tp 4 cuts 256 key columns within a block of 128"));
    EXPECT_THAT(status.message(), HasSubstr("tp2-pp2"));
  }
  ModelSpec narrow = SmallSpec(QuantizationScheme::kBlock);
  narrow.num_kv_heads = 1;  // a key part of 64 rows, in every layout
  EXPECT_FALSE(CheckLayout(narrow, *MakeLayout(2, 1, 1, 1)).ok());
}

}  // namespace
}  // namespace regatta
