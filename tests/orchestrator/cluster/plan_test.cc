// `regatta plan`: the article's limits, memory that does not fit, names that are not known.
#include "orchestrator/cluster/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ModelSpec Load(const std::string& name) {
  auto spec = LoadModelSpec(REGATTA_SOURCE_DIR "/tests/testing/configs/" + name);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *spec;
}

PlanInput Article(const std::string& gpu) {
  return {.gpu = gpu, .mean_input_length = 128, .mean_output_length = 128};
}

TEST(Plan, ArticlesRun_GivesItsLimitsOnBothGpus) {
  const ModelSpec spec = Load("llama-3.1-8b");
  const auto h200 = RenderPlan(spec, Article("H200"));
  ASSERT_TRUE(h200.ok()) << h200.status();
  EXPECT_THAT(*h200, HasSubstr("max_batch_size               3840\n"));
  EXPECT_THAT(*h200, HasSubstr("max_num_tokens               7680\n"));
  EXPECT_THAT(*h200, HasSubstr("8,030,261,248 parameters"));
  const auto h100 = RenderPlan(spec, Article("h100"));
  ASSERT_TRUE(h100.ok()) << h100.status();
  EXPECT_THAT(*h100, HasSubstr("max_batch_size               2048\n"));
  EXPECT_THAT(*h100, HasSubstr("max_num_tokens               3840\n"));
}

TEST(Plan, SmallModels_AreInUnitsThatFitThem) {
  const auto spec = LoadModelSpec(std::string(REGATTA_SOURCE_DIR) + "/tests/models/regatta-dense");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const auto plan = RenderPlan(*spec, Article("H200"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(*plan, HasSubstr("Weights                      11.5 MiB, 11.5 MiB per GPU\n"));
  EXPECT_THAT(*plan, Not(HasSubstr(" 0.00 ")));
}

TEST(Plan, ModelThatDoesNotFit_NamesTheSmallestTpThatDoes) {
  const auto plan = RenderPlan(Load("llama-3.3-70b"), Article("H100"));
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("it fits from --tp 2"));
}

TEST(Plan, UnknownGpuAndDtype_AreNamedWithTheKnown) {
  const ModelSpec spec = Load("llama-3.1-8b");
  PlanInput input = Article("H300");
  EXPECT_THAT(std::string(RenderPlan(spec, input).status().message()), HasSubstr("H200"));
  input = Article("H200");
  input.dtype = "int3";
  EXPECT_THAT(std::string(RenderPlan(spec, input).status().message()), HasSubstr("int3"));
}

// Layers shrink, embedding and head do not; the cache has a dtype of its own.
TEST(Plan, QuantizationMakesRoom) {
  const ModelSpec spec = Load("llama-3.1-8b");
  PlanInput input = Article("H200");
  EXPECT_THAT(*RenderPlan(spec, input), HasSubstr("14.96 GiB, 14.96 GiB per GPU\n"));
  input.quantization = "fp8";
  EXPECT_THAT(*RenderPlan(spec, input),
              HasSubstr("8.46 GiB, 8.46 GiB per GPU, fp8 per channel (online)\n"));
  EXPECT_THAT(*RenderPlan(spec, input), HasSubstr("KV per token                 128.0 KiB\n"));
  input.quantization = "fp8_static";
  input.kv_cache_dtype = "fp8";
  EXPECT_THAT(*RenderPlan(spec, input), HasSubstr("fp8 per tensor\n"));
  EXPECT_THAT(*RenderPlan(spec, input), HasSubstr("KV per token                 64.0 KiB\n"));
  input.quantization = "int4";
  EXPECT_THAT(std::string(RenderPlan(spec, input).status().message()), HasSubstr("int4"));
}

TEST(Plan, ImpossibleLayout_NamesThoseThatFit) {
  PlanInput input = Article("H200");
  input.tp = 3;
  const auto plan = RenderPlan(Load("llama-3.1-8b"), input);
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Plan, RefusesWhatServingRefuses) {
  PlanInput input = Article("H200");
  input.max_seq_len = 131073;
  EXPECT_THAT(std::string(RenderPlan(Load("llama-3.1-8b"), input).status().message()),
              HasSubstr("max_seq_len 131073 is over the context of llama-3.1-8b: 131072 tokens"));
  input.max_seq_len = 131072;
  EXPECT_TRUE(RenderPlan(Load("llama-3.1-8b"), input).ok());
  input.tp = 4;
  input.ep = 3;
  EXPECT_THAT(std::string(RenderPlan(Load("qwen3-30b-a3b"), input).status().message()),
              HasSubstr("ep 1, 2, 4 would do"));
}

TEST(Plan, UsualLengthsAreCutToTheContextAndGivenOnesAreNot) {
  PlanInput input;
  input.max_seq_len = 1024;
  const auto cut = RenderPlan(Load("llama-3.1-8b"), input);
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_THAT(*cut, HasSubstr("of 512 in / 512 out (the usual 1024 are cut to what 1024 leave)\n"));
  input.mean_input_length = 1000;
  const auto rest = RenderPlan(Load("llama-3.1-8b"), input);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, HasSubstr("of 1000 in / 24 out (the usual 1024"));
  const auto message = [&] {
    return std::string(RenderPlan(Load("llama-3.1-8b"), input).status().message());
  };
  input.mean_input_length = 9999;
  EXPECT_THAT(message(), HasSubstr("9999 tokens in and 1 out are 10000, over 1024, --max-seq-len"));
  input.mean_input_length = 512;
  input.mean_output_length = 513;
  EXPECT_THAT(message(), HasSubstr("512 tokens in and 513 out are 1025, over 1024"));
  input.max_seq_len = 0;
  EXPECT_TRUE(RenderPlan(Load("llama-3.1-8b"), input).ok());
  const auto usual = RenderPlan(Load("llama-3.1-8b"), PlanInput());
  ASSERT_TRUE(usual.ok()) << usual.status();
  EXPECT_THAT(*usual, HasSubstr("of 1024 in / 1024 out\n"));
}

TEST(Plan, Copies_AreListedAmongLayouts) {
  PlanInput input = Article("H200");
  input.tp = 2;
  input.dp = 2;
  const auto plan = RenderPlan(Load("qwen3-30b-a3b"), input);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(*plan, HasSubstr("tp2-dp2"));
}

}  // namespace
}  // namespace regatta
