// The heuristic against trtllm-bench's own published and logged choices.
#include "common/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/models.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

// Memory as the driver reports it to applications, which is less than the number on the box.
constexpr double kH200Gib =
    139.80;  // torch's total_memory; nvidia-smi's 143771 MiB = 140.40 GiB give the same limits
constexpr double kH100Gib = 79.65;  // 80 GB SXM

LimitsInput Input(double memory_gib, uint32_t input_length, uint32_t output_length) {
  LimitsInput input;
  input.device_memory_gib = memory_gib;
  input.mean_input_length = input_length;
  input.mean_output_length = output_length;
  return input;
}

// Batch size and token limit of Llama-3.1-8B.
std::pair<uint32_t, uint32_t> LlamaLimits(const LimitsInput& input) {
  auto advice = AdviseLimits(PublishedModel("llama-3.1-8b"), input);
  EXPECT_TRUE(advice.ok()) << advice.status();
  if (!advice.ok()) return {};
  return {advice->limits.max_batch_size(), advice->limits.max_num_tokens()};
}

using Limits2 = std::pair<uint32_t, uint32_t>;

TEST(LimitsTest, TheArticlesRun) {
  EXPECT_EQ(LlamaLimits(Input(kH200Gib, 128, 128)), Limits2(3840, 7680));
  EXPECT_EQ(LlamaLimits(Input(143771.0 / 1024, 128, 128)), Limits2(3840, 7680));
  EXPECT_EQ(LlamaLimits(Input(kH100Gib, 128, 128)), Limits2(2048, 3840));
}

TEST(LimitsTest, Bfloat16OnAnH100) {
  EXPECT_EQ(LlamaLimits(Input(kH100Gib, 128, 2048)), Limits2(224, 2048));
  EXPECT_EQ(LlamaLimits(Input(kH100Gib, 1000, 1000)), Limits2(256, 2048));
  EXPECT_EQ(LlamaLimits(Input(kH100Gib, 2048, 128)), Limits2(224, 3840));
}

TEST(LimitsTest, Fp8OnAnH100) {
  const auto fp8 = [](uint32_t input_length, uint32_t output_length) {
    LimitsInput input = Input(kH100Gib, input_length, output_length);
    input.weight_bytes_per_element = 1;
    input.kv_bytes_per_element = 1;
    return LlamaLimits(input);
  };
  EXPECT_EQ(fp8(128, 128), Limits2(4096, 8192));
  EXPECT_EQ(fp8(128, 2048), Limits2(512, 2048));
  EXPECT_EQ(fp8(1000, 1000), Limits2(640, 2048));
  EXPECT_EQ(fp8(2048, 128), Limits2(512, 9216));
  EXPECT_EQ(fp8(2048, 2048), Limits2(384, 2048));
  EXPECT_EQ(fp8(20000, 2000), Limits2(64, 2048));
}

// The tool's log of this run says 8048.16 requests.
TEST(LimitsTest, RequestsThatFitAgreeWithTheToolsLog) {
  LimitsInput input = Input(kH200Gib, 128, 128);
  input.weight_bytes_per_element = 1;
  input.kv_bytes_per_element = 1;
  input.kv_cache_fraction = 0.95;
  auto advice = AdviseLimits(PublishedModel("llama-3.1-8b"), input);
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_NEAR(advice->max_requests, 8048.16, 8048.16 * 0.005);
  EXPECT_EQ(advice->limits.max_batch_size(), 4096);
  EXPECT_EQ(advice->limits.max_num_tokens(), 8192);
}

TEST(LimitsTest, MemoryFigures) {
  auto advice = AdviseLimits(PublishedModel("llama-3.1-8b"), Input(kH100Gib, 128, 128));
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_NEAR(advice->weight_gib, 14.957, 0.001);
  EXPECT_NEAR(advice->kv_gib, 58.22, 0.01);
  EXPECT_NEAR(advice->kv_tokens, 58.22 * 8192, 100);  // 128 KiB per token
}

TEST(LimitsTest, TensorAndPipelineParallel) {
  LimitsInput input = Input(kH100Gib, 128, 128);
  input.tp = 2;
  auto tp2 = AdviseLimits(PublishedModel("llama-3.3-70b"), input);
  ASSERT_TRUE(tp2.ok()) << tp2.status();
  input.tp = 1;
  input.pp = 2;
  auto pp2 = AdviseLimits(PublishedModel("llama-3.3-70b"), input);
  ASSERT_TRUE(pp2.ok()) << pp2.status();
  EXPECT_EQ(tp2->kv_tokens, pp2->kv_tokens);
  EXPECT_GT(tp2->limits.max_batch_size(), pp2->limits.max_batch_size()) << "cohorts halve it";

  input.tp = 16;  // 8 KV heads are held twice
  input.pp = 1;
  auto tp16 = AdviseLimits(PublishedModel("llama-3.3-70b"), input);
  ASSERT_TRUE(tp16.ok());
  EXPECT_THAT(tp16->limits.reasoning(), HasSubstr("16 KV heads"));
}

TEST(LimitsTest, UnchunkedPromptsRaiseTheTokenLimit) {
  LimitsInput input = Input(kH100Gib, 1000, 1000);
  input.chunked_prefill = false;
  input.max_input_length = 5000;
  input.max_seq_len = 6000;
  EXPECT_EQ(LlamaLimits(input), Limits2(256, 5256));
  EXPECT_EQ(AdviseLimits(PublishedModel("llama-3.1-8b"), input)->limits.max_seq_len(), 6000);
}

TEST(LimitsTest, ReasoningSaysEveryStep) {
  auto advice = AdviseLimits(PublishedModel("llama-3.1-8b"), Input(kH100Gib, 128, 128));
  ASSERT_TRUE(advice.ok());
  EXPECT_EQ(advice->limits.reasoning(),
            "memory 79.65 GiB x 1 device = 79.65 GiB\n"
            "weights 8030261248 parameters x 2 bytes = 14.96 GiB\n"
            "KV cache 0.9 of the remaining 64.69 GiB = 58.22 GiB\n"
            "one token: 2 x 32 layers x 8 KV heads x 128 x 2 bytes = 131072 bytes; 476964 tokens "
            "fit\n"
            "requests of 128 + 128 tokens: 1863.1 fit at once\n"
            "max_batch_size: min(1863.1, 4096) / pp 1 = 1863.1 -> 2048\n"
            "max_num_tokens: min(1863.1 x (1 + 128 / 128), 32768) = 3726.3 -> 3840\n");
}

TEST(LimitsTest, ThingsThatDoNotFit) {
  auto advice = AdviseLimits(PublishedModel("llama-3.3-70b"), Input(kH100Gib, 128, 128));
  EXPECT_EQ(advice.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(advice.status().message(), HasSubstr("llama-3.3-70b needs 131.42 GiB"));
  advice = AdviseLimits(PublishedModel("llama-3.1-8b"), Input(16, 100000, 1000));
  EXPECT_EQ(advice.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(advice.status().message(), HasSubstr("one request of 100000 + 1000 tokens"));
  advice = AdviseLimits(PublishedModel("llama-3.1-8b"), Input(18, 128, 128));
  ASSERT_TRUE(advice.ok());
  EXPECT_THAT(advice->limits.reasoning(), HasSubstr("warning: little KV cache"));
}

TEST(LimitsTest, RefusesInputThatMeansNothing) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  EXPECT_THAT(AdviseLimits(spec, Input(0, 1, 1)).status().message(), HasSubstr("device memory"));
  EXPECT_THAT(AdviseLimits(spec, Input(80, 0, 1)).status().message(), HasSubstr("input length"));
  EXPECT_THAT(AdviseLimits(spec, Input(80, 1, 0)).status().message(), HasSubstr("output length"));
  LimitsInput input = Input(80, 1, 1);
  input.kv_cache_fraction = 1.5;
  EXPECT_THAT(AdviseLimits(spec, input).status().message(), HasSubstr("1.5; at most 1"));
  input.kv_cache_fraction = -1;
  EXPECT_EQ(AdviseLimits(spec, input).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace regatta
