// The same tokens whatever the layout, batching, chunking or look-ahead: tiny dummy models of every
// family, all ranks in threads.
#include "worker/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/layout.h"
#include "tests/worker/plan_driver.h"
#include "tests/worker/plan_fixture.h"
#include "tests/worker/threaded_group.h"
#include "tests/worker/tiny_models.h"

namespace regatta {
namespace {

std::vector<Prompt> MixedPrompts(int count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Prompt> prompts(count);
  for (Prompt& prompt : prompts) {
    prompt.tokens.resize(1 + random() % 70);
    for (uint32_t& token : prompt.tokens) token = random() % 256;
    prompt.max_tokens = 1 + random() % 12;
  }
  return prompts;
}

std::vector<std::vector<uint32_t>> Tokens(const std::vector<Output>& outputs) {
  std::vector<std::vector<uint32_t>> tokens;
  for (const Output& output : outputs) tokens.push_back(output.tokens);
  return tokens;
}

class ExecutorTest : public PlanFixture {
 protected:
  std::vector<Output> Generate(const GroupOptions& options, const std::vector<Prompt>& prompts,
                               uint32_t chunk = 32) {
    auto group = ThreadedGroup::Form(options);
    EXPECT_TRUE(group.ok()) << group.status();
    if (!group.ok()) return {};
    auto outputs = PlanDriver(**group, chunk).Generate(prompts);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    return outputs.value_or(std::vector<Output>());
  }

  void ExpectSameTokens(const std::string& config, const std::vector<Layout>& layouts) {
    const std::vector<Prompt> prompts = MixedPrompts(20, 5);
    const auto want = Tokens(Generate(Options(config, LayoutOf(1)), prompts));
    ASSERT_EQ(want.size(), prompts.size());
    EXPECT_NE(want[0], want[1]);
    for (const Layout& layout : layouts) {
      GroupOptions options = Options(config, layout);
      options.max_inflight = layout.pp() + 1;
      EXPECT_EQ(Tokens(Generate(options, prompts)), want) << LayoutName(layout);
    }
  }
};

TEST_F(ExecutorTest, LlamaIsTheSameInEveryLayout) {
  ExpectSameTokens(TinyLlama(), {LayoutOf(2), LayoutOf(4), LayoutOf(8), LayoutOf(1, 2),
                                 LayoutOf(1, 8), LayoutOf(2, 2), LayoutOf(2, 4), LayoutOf(4, 2)});
}

TEST_F(ExecutorTest, QwenBiasAndHeadNormsAreShardedRight) {
  ExpectSameTokens(TinyQwen2(), {LayoutOf(2), LayoutOf(4), LayoutOf(2, 2)});
  ExpectSameTokens(TinyQwen3(), {LayoutOf(2), LayoutOf(4), LayoutOf(2, 2)});
}

TEST_F(ExecutorTest, SlidingWindowIsTheSameInEveryLayout) {
  ExpectSameTokens(TinyMistral(), {LayoutOf(2), LayoutOf(1, 2)});
}

TEST_F(ExecutorTest, MixtralIsTheSameInEveryLayout) {
  ExpectSameTokens(TinyMixtral(), {LayoutOf(2), LayoutOf(2, 1, 2), LayoutOf(4, 1, 2),
                                   LayoutOf(4, 1, 4), LayoutOf(8, 1, 8), LayoutOf(2, 2, 2)});
}

TEST_F(ExecutorTest, SparseAndSharedExpertsAreTheSameInEveryLayout) {
  ExpectSameTokens(TinyQwen3Moe(), {LayoutOf(2, 1, 2), LayoutOf(4, 1, 2), LayoutOf(1, 8)});
  ExpectSameTokens(TinyQwen2Moe(), {LayoutOf(2, 1, 2), LayoutOf(4, 1, 2), LayoutOf(2, 2)});
}

TEST_F(ExecutorTest, LookAheadChangesNothing) {
  const std::vector<Prompt> prompts = MixedPrompts(12, 6);
  const auto want = Tokens(Generate(Options(TinyLlama(), LayoutOf(1)), prompts));
  for (const Layout& layout : {LayoutOf(1), LayoutOf(2), LayoutOf(1, 4)}) {
    for (uint32_t max_inflight = 1; max_inflight <= layout.pp() + 2; ++max_inflight) {
      GroupOptions options = Options(TinyLlama(), layout);
      options.max_inflight = max_inflight;
      EXPECT_EQ(Tokens(Generate(options, prompts)), want)
          << LayoutName(layout) << ", max_inflight " << max_inflight;
    }
  }
}

TEST_F(ExecutorTest, ChunksBlocksAndBatchesChangeNothing) {
  const std::vector<Prompt> prompts = MixedPrompts(12, 7);
  GroupOptions options = Options(TinyLlama(), LayoutOf(1));
  options.max_num_tokens = 256;
  const auto want = Tokens(Generate(options, prompts, 256));
  EXPECT_EQ(Tokens(Generate(options, prompts, 5)), want);
  options.block_size = 4;
  EXPECT_EQ(Tokens(Generate(options, prompts, 7)), want);
  options.max_batch_size = 1;  // every slot used twelve times
  EXPECT_EQ(Tokens(Generate(options, prompts, 64)), want);
  options.max_batch_size = 12;
  options.max_num_tokens = 13;
  EXPECT_EQ(Tokens(Generate(options, prompts, 64)), want);
}

// 64 features and experts that fill no group of scales: dummy weights under a scale each, and made
// while loading. A row's result is its own, so chunks and batches change nothing.
TEST_F(ExecutorTest, QuantisedModelsRunInEveryLayout) {
  const std::vector<Prompt> prompts = MixedPrompts(8, 9);
  for (const std::string& config : {TinyLlama(), TinyQwen2(), TinyMixtral(), TinyQwen2Moe()}) {
    const auto plain = Tokens(Generate(Options(config, LayoutOf(1)), prompts));
    for (const char* scheme : {"fp8", "fp8_static"}) {
      GroupOptions options = Options(config, LayoutOf(1));
      options.model.set_quantization(scheme);
      options.model.set_kv_cache_dtype("fp8");
      const auto want = Tokens(Generate(options, prompts));
      EXPECT_NE(want, plain) << "nothing was quantised";
      options.max_batch_size = 3;
      EXPECT_EQ(Tokens(Generate(options, prompts, 5)), want) << scheme;
      options = Options(config, LayoutOf(2, 2));
      options.model.set_quantization(scheme);
      EXPECT_EQ(Generate(options, prompts).size(), prompts.size());
    }
  }
}

TEST_F(ExecutorTest, ACalibratedCheckpointKeepsItsCacheInE4M3) {
  GroupOptions options = Options(TinyLlama(), LayoutOf(2));
  dir_.Write("hf_quant_config.json",
             R"({"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}})");
  for (const auto& [asked, formed] :
       {std::pair("auto", "float8_e4m3fn"), std::pair("float32", "float32")}) {
    options.model.set_kv_cache_dtype(asked);
    auto group = ThreadedGroup::Form(options);
    ASSERT_TRUE(group.ok()) << group.status();
    EXPECT_EQ((*group)->formed().kv_cache_dtype(), formed);
  }
}

TEST_F(ExecutorTest, NarrowTypesRunInEveryLayout) {
  const std::vector<Prompt> prompts = MixedPrompts(6, 8);
  for (const char* dtype : {"bfloat16", "float16"}) {
    for (const char* kv_dtype : {"auto", "float32", "fp8"}) {
      GroupOptions options = Options(TinyMixtral(), LayoutOf(2, 2, 2));
      options.model.set_dtype(dtype);
      options.model.set_kv_cache_dtype(kv_dtype);
      EXPECT_EQ(Generate(options, prompts).size(), prompts.size());
    }
  }
}

TEST_F(ExecutorTest, SeededDrawsAndPenaltiesAreTheSameInEveryLayout) {
  std::vector<Prompt> prompts = MixedPrompts(8, 9);
  for (size_t i = 0; i < prompts.size(); ++i) {
    SamplingParams& sampling = prompts[i].sampling;
    prompts[i].max_tokens = 10;
    sampling.set_temperature(0.8f);
    sampling.set_top_p(0.95f);
    sampling.set_seed(1000 + i);
    sampling.set_logprobs(true);
    sampling.set_top_logprobs(3);
    if (i < 2) sampling.set_repetition_penalty(1.3f);
    if (i == 1) sampling.set_presence_penalty(0.5f);
  }
  const std::vector<Output> want = Generate(Options(TinyLlama(), LayoutOf(1)), prompts);
  for (const Layout& layout : {LayoutOf(2), LayoutOf(4), LayoutOf(1, 2)}) {
    const std::vector<Output> got = Generate(Options(TinyLlama(), layout), prompts);
    EXPECT_EQ(Tokens(got), Tokens(want)) << LayoutName(layout);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].logprobs.size(), prompts[i].max_tokens);
      for (size_t j = 0; j < got[i].logprobs.size(); ++j) {
        EXPECT_NEAR(got[i].logprobs[j].sampled(), want[i].logprobs[j].sampled(), 1e-3);
        EXPECT_EQ(got[i].logprobs[j].top_token_size(), 3);
      }
    }
  }
}

using PlanTest = PlanFixture;

TEST_F(PlanTest, SlotsShareThePrefixBlocksOfOneAnother) {
  Form(Options(TinyLlama(), LayoutOf(2)));
  const std::vector<uint32_t> prompt = Range(3, 40);
  Start();
  Admit(0, 40);
  Entry(0, 0, prompt, {5, 6, 7}, STEP_FLAG_SAMPLE);
  const auto whole = Run();
  ASSERT_TRUE(whole.ok()) << whole.status();
  Start();  // 32 tokens are in blocks 5 and 6
  Admit(1, 40);
  Entry(1, 32, {prompt.begin() + 32, prompt.end()}, {5, 6, 9}, STEP_FLAG_SAMPLE);
  const auto shared = Run();
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_EQ(shared->token(0), whole->token(0));
}

TEST_F(PlanTest, SuppressedIdsAreNotDrawnUntilMinTokens) {
  Form(Options(TinyLlama(), LayoutOf(1)));
  Start();
  Admit(0, 4);
  Entry(0, 0, Range(1, 4), {0}, STEP_FLAG_SAMPLE);
  const uint32_t likely = Run()->token(0);
  Start();
  Admit(1, 4);
  SamplingParams& sampling = *plan_.mutable_admissions(0)->mutable_sampling();
  sampling.set_min_tokens(1);
  sampling.add_suppressed_until_min_tokens(likely);
  Entry(1, 0, Range(1, 4), {1}, STEP_FLAG_SAMPLE);
  EXPECT_NE(Run()->token(0), likely);
}

TEST_F(PlanTest, AReusedSlotDoesNotGetItsPredecessorsToken) {
  GroupOptions options = Options(TinyLlama(), LayoutOf(1, 2));
  options.max_inflight = 4;
  Form(options);
  Start();  // a draw whose id is still under way to the first stage when the slot is given on
  Admit(0, 4);
  Entry(0, 0, Range(1, 4), {0}, STEP_FLAG_SAMPLE);
  group_->Dispatch(plan_);
  Start();
  plan_.add_released_slots(0);
  Admit(0, 8);
  Entry(0, 0, Range(9, 8), {1}, STEP_FLAG_SAMPLE);
  group_->Dispatch(plan_);
  Start();
  Entry(0, 8, {}, {}, STEP_FLAG_SAMPLE);
  group_->Dispatch(plan_);
  ASSERT_TRUE(group_->Next().ok());
  const uint32_t first = group_->Next()->token(0);
  const uint32_t second = group_->Next()->token(0);
  Start();  // the same two steps with the drawn id given
  Admit(1, 9);
  std::vector<uint32_t> tokens = Range(9, 8);
  tokens.push_back(first);
  Entry(1, 0, tokens, {2}, STEP_FLAG_SAMPLE);
  EXPECT_EQ(Run()->token(0), second);
}

TEST_F(PlanTest, APlanWithoutEntriesIsAnswered) {
  Form(Options(TinyLlama(), LayoutOf(2, 2)));
  Start();
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->step_id(), 1u);
  EXPECT_EQ(result->token_size(), 0);
}

TEST_F(PlanTest, ABadPlanIsNamedOnEveryRank) {
  Form(Options(TinyLlama(), LayoutOf(2)));
  Start();
  Entry(3, 0, {1}, {0}, STEP_FLAG_SAMPLE);
  const auto result = Run();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(result.status().message(), "slot 3 is scheduled but holds no sequence");
}

TEST_F(ExecutorTest, ImpossibleRequestsAreRefused) {
  const auto message = [&](auto change) {
    GroupOptions options = Options(TinyLlama(), LayoutOf(1));
    change(options);
    return ThreadedGroup::Form(options).status().ToString();
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message([](auto& o) { o.layout = LayoutOf(3); }), HasSubstr("tp 3"));
  EXPECT_THAT(message([](auto& o) { o.layout = LayoutOf(2, 1, 2); }), HasSubstr("no experts"));
  EXPECT_THAT(message([](auto& o) { o.max_seq_len = 513; }),
              HasSubstr("max_seq_len 513 is outside 1 to 512"));
  EXPECT_THAT(message([](auto& o) { o.max_batch_size = 0; }), HasSubstr("max_batch_size 0"));
  EXPECT_THAT(message([](auto& o) { o.max_inflight = 65; }), HasSubstr("outside 1 to 64"));
  EXPECT_THAT(message([](auto& o) { o.model.set_kv_cache_dtype("int3"); }), HasSubstr("int3"));
  EXPECT_THAT(message([](auto& o) { o.model.set_path("/nowhere"); }), HasSubstr("NOT_FOUND"));
}

}  // namespace
}  // namespace regatta
