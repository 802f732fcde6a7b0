// What decides a draw beside its logits, and what is told of a prompt: masks, biases and
// log-probabilities of given tokens, in every layout, against the logits of the model itself. Built
// for CPU ranks and, as cuda_draw_test, for GPUs; skips loudly without one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string_view>

#include "tests/worker/plan_fixture.h"
#include "tests/worker/tiny_models.h"
#include "worker/batch.h"
#include "worker/device.h"
#include "worker/kv_cache.h"
#include "worker/model.h"
#include "worker/step_inputs.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

#ifndef DRAW_TEST_DEVICE
#define DRAW_TEST_DEVICE "cpu"
#endif
constexpr bool kOnCpu = std::string_view(DRAW_TEST_DEVICE) == "cpu";
constexpr double kTolerance = kOnCpu ? 1e-4 : 1e-3;  // of log-probabilities
constexpr int kVocab = 256;
using Row = std::vector<double>;

// The logits behind every token of `tokens`, from one Model without executor or sampler.
std::vector<Row> FullLogits(const ModelSource& source, const std::vector<uint32_t>& tokens) {
  const auto spec = LoadModelSpec(source.path());
  const Layout layout = LayoutOf(1);
  const RankPosition position = PositionOf(*spec, layout, 0);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  const auto weights = LoadWeights(source, *spec, layout, position, *ops, nullptr);
  const KvShape kv = {spec->num_layers, 16, spec->num_kv_heads, spec->head_dim, weights->dtype};
  const auto cache = KvCache::Allocate(kv, 32, *ops);
  const RankCommunicators alone = {MakeSelfCommunicator(), MakeSelfCommunicator()};
  const int count = static_cast<int>(tokens.size());
  const auto model = Model::Create(*spec, position, *weights, cache->layers(), *ops, alone,
                                   {.max_tokens = count, .max_rows = count, .max_seq_len = 256});
  CHECK(model.ok()) << model.status();
  StepBatch batch;
  FillPrompt(count, batch);
  batch.token_ids.assign(tokens.begin(), tokens.end());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  std::iota(batch.kv_slot.begin(), batch.kv_slot.end(), 0);
  batch.context_length = {count};
  batch.block_table.resize((count + 15) / 16);
  std::iota(batch.block_table.begin(), batch.block_table.end(), 0);
  batch.max_context_length = count;
  const SlotLimits limits = {1, 256, 256, 16, 32, kVocab, 0};
  const auto inputs = StepInputs::Create(limits, *ops);
  const auto staging = (*inputs)->MakeStaging();
  (*model)->Forward((*inputs)->Upload(batch, *staging));
  std::vector<int32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0);
  const Tensor logits = (*model)->Logits(rows.data(), count);
  std::vector<Row> full;
  for (int i = 0; i < count; ++i) {
    const float* row = logits.as<float>() + i * logits.row_stride;
    full.emplace_back(row, row + kVocab);
  }
  return full;
}

Row LogSoftmax(Row row) {
  const double max = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const double logit : row) sum += std::exp(logit - max);
  for (double& logit : row) logit -= max + std::log(sum);
  return row;
}

uint32_t ArgMax(const Row& row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

class DrawTest : public PlanFixture {
 protected:
  void SetUp() override {
    if (!kOnCpu) max_ranks_ = static_cast<uint32_t>(ListDevices().size()) - 1;
    if (max_ranks_ == 0) GTEST_SKIP() << "NO GPU, NOTHING TESTED";
  }
  GroupOptions Options(const std::string& config, const Layout& layout) {
    GroupOptions options = PlanFixture::Options(config, layout);
    options.device = DRAW_TEST_DEVICE;
    options.model.set_dtype("float32");
    return options;
  }
  // Those that there are devices for.
  std::vector<Layout> Possible(std::vector<Layout> layouts) const {
    std::erase_if(layouts,
                  [this](const Layout& layout) { return RanksPerCopy(layout) > max_ranks_; });
    return layouts;
  }

  // Runs `prompt` in chunks with LOGITS_ALL while slot 1 decodes; what all chunks gave.
  Logprobs Score(const std::vector<uint32_t>& prompt, uint32_t chunk, uint32_t num_top) {
    Start();
    Admit(0, prompt.size()).mutable_sampling()->set_top_logprobs(num_top);
    Admit(1, 4);
    Entry(1, 0, Range(1, 4), {20, 21, 22, 23}, STEP_FLAG_SAMPLE);
    Logprobs all;
    for (uint32_t start = 0; start < prompt.size(); start += chunk) {
      if (start > 0) {
        Start();
        Entry(1, 3 + start / chunk, {}, {}, STEP_FLAG_SAMPLE);
      }
      const uint32_t end = std::min<uint32_t>(start + chunk, prompt.size());
      const bool last = end == prompt.size();
      Entry(0, start, {prompt.begin() + start, prompt.begin() + end},
            start == 0 ? std::vector<uint32_t>{0, 1, 2} : std::vector<uint32_t>{},
            STEP_FLAG_LOGITS_ALL | (last ? STEP_FLAG_SAMPLE : 0));
      if (!last) plan_.add_tokens(prompt[end]);
      const auto result = Run();
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok()) return all;
      EXPECT_EQ(result->logprobs_size(), 1);
      all.MergeFrom(result->logprobs(0));
    }
    return all;
  }

  void ExpectScores(const Logprobs& got, const std::vector<uint32_t>& prompt,
                    const std::vector<Row>& logits, int num_top) {
    ASSERT_EQ(got.prompt_size(), static_cast<int>(prompt.size()) - 1);
    ASSERT_EQ(got.prompt_top_token_size(), num_top * got.prompt_size());
    ASSERT_EQ(got.prompt_top_logprob_size(), num_top * got.prompt_size());
    for (int i = 0; i < got.prompt_size(); ++i) {
      const Row want = LogSoftmax(logits[i]);
      EXPECT_NEAR(got.prompt(i), want[prompt[i + 1]], kTolerance) << "token " << i + 1;
      Row sorted = want;
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      for (int j = 0; j < num_top; ++j) {
        EXPECT_NEAR(got.prompt_top_logprob(i * num_top + j), sorted[j], kTolerance);
        EXPECT_NEAR(want.at(got.prompt_top_token(i * num_top + j)), sorted[j], kTolerance);
      }
    }
  }

  // Masks that allow exactly these tokens, entry after entry.
  SampleInput MasksOf(uint64_t step, const std::vector<std::vector<uint32_t>>& allowed) {
    SampleInput input;
    input.set_step_id(step);
    for (const std::vector<uint32_t>& tokens : allowed) {
      std::vector<uint32_t> words(kVocab / 32, 0);
      for (const uint32_t token : tokens) words[token / 32] |= 1u << (token % 32);
      input.mutable_masks()->append(reinterpret_cast<const char*>(words.data()), kVocab / 8);
    }
    return input;
  }

  uint32_t max_ranks_ = UINT32_MAX;
};

TEST_F(DrawTest, PromptLogprobsAreTheSoftmaxOfTheFullLogits) {
  const std::vector<uint32_t> prompt = Range(50, 37);
  for (const std::string& config : {TinyLlama(), TinyMixtral()}) {
    const auto want = FullLogits(Options(config, LayoutOf(1)).model, prompt);
    for (const Layout& layout :
         Possible({LayoutOf(1), LayoutOf(2), LayoutOf(1, 2), LayoutOf(2, 2)})) {
      for (const uint32_t chunk : {37u, 36u, 16u, 7u, 1u}) {
        SCOPED_TRACE(LayoutName(layout) + ", chunks of " + std::to_string(chunk));
        GroupOptions options = Options(config, layout);
        options.max_batch_size = 3;  // rows of logits at once
        Form(options);
        const int num_top = chunk % 2 == 0 ? 5 : 0;
        ExpectScores(Score(prompt, chunk, num_top), prompt, want, num_top);
      }
    }
  }
}

// Every step masks two sequences at random and lets one between them be, also when the masks come
// before their plan.
TEST_F(DrawTest, AMaskedDrawIsTheBestThatItsMaskAllows) {
  struct Sequence {
    uint32_t slot;
    bool masked;
    std::vector<uint32_t> tokens;
  };
  std::mt19937 random(11);
  for (const Layout& layout : Possible({LayoutOf(1), LayoutOf(2), LayoutOf(1, 2)})) {
    SCOPED_TRACE(LayoutName(layout));
    const GroupOptions options = Options(TinyLlama(), layout);
    Form(options);
    std::vector<Sequence> sequences = {
        {2, true, Range(3, 6)}, {5, false, Range(90, 5)}, {6, true, Range(7, 9)}};
    for (int draw = 0; draw < 8; ++draw) {
      Start();
      std::vector<std::vector<uint32_t>> allowed;
      for (const Sequence& sequence : sequences) {
        const auto length = static_cast<uint32_t>(sequence.tokens.size());
        const uint32_t flags = STEP_FLAG_SAMPLE | (sequence.masked ? STEP_FLAG_AWAITS_MASK : 0);
        if (draw == 0) {
          Admit(sequence.slot, length);
          Entry(sequence.slot, 0, sequence.tokens, {sequence.slot, sequence.slot + 8}, flags);
        } else {
          Entry(sequence.slot, length - 1, {}, {}, flags);
        }
        if (!sequence.masked) continue;
        std::vector<uint32_t>& ids = allowed.emplace_back(12);
        for (uint32_t& id : ids) id = random() % kVocab;
      }
      if (draw % 2 == 0) group_->SendMasks(MasksOf(step_, allowed));
      group_->Dispatch(plan_);
      if (draw % 2 == 1) group_->SendMasks(MasksOf(step_, allowed));
      const auto result = group_->Next();
      ASSERT_TRUE(result.ok()) << result.status();
      int mask = 0;
      for (int i = 0; i < 3; ++i) {
        std::vector<uint32_t>& tokens = sequences[i].tokens;
        const Row logits = FullLogits(options.model, tokens).back();
        uint32_t want = ArgMax(logits);
        if (sequences[i].masked) {
          const std::vector<uint32_t>& ids = allowed[mask++];
          want = *std::max_element(ids.begin(), ids.end(),
                                   [&](uint32_t a, uint32_t b) { return logits[a] < logits[b]; });
        }
        EXPECT_EQ(result->token(i), want) << "draw " << draw << " of slot " << sequences[i].slot;
        tokens.push_back(result->token(i));
      }
    }
  }
}

TEST_F(DrawTest, OnlyStepsWithMasksWait) {
  GroupOptions options = Options(TinyLlama(), LayoutOf(kOnCpu ? 2 : 1));
  options.max_inflight = 3;
  Form(options);
  Start();
  Admit(0, 4);
  Entry(0, 0, Range(1, 4), {0}, STEP_FLAG_SAMPLE);
  group_->Dispatch(plan_);
  for (uint32_t position = 4; position < 6; ++position) {
    Start();
    Entry(0, position, {}, {}, STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK);
    group_->Dispatch(plan_);
  }
  EXPECT_TRUE(group_->Next().ok()) << "its plan awaits nothing";
  EXPECT_TRUE(group_->Idle(absl::Milliseconds(100))) << "the others wait";
  group_->SendMasks(MasksOf(3, {{9}}));
  EXPECT_TRUE(group_->Idle(absl::Milliseconds(100))) << "the masks of step 2 come first";
  group_->SendMasks(MasksOf(2, {{8, 7}}));
  const auto second = group_->Next();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(second->token(0), ::testing::AnyOf(7u, 8u));
  const auto third = group_->Next();
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(third->token(0), 9u);
}

// The wait is half a second by construction; that a tiny model's step takes four fifths of it no
// machine is so busy.
TEST_F(DrawTest, WaitingForMasksIsNoComputing) {
  Form(Options(TinyLlama(), LayoutOf(1)));
  Start();
  Admit(0, 4);
  Entry(0, 0, Range(1, 4), {0}, STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK);
  const absl::Time dispatched = absl::Now();
  group_->Dispatch(plan_);
  EXPECT_TRUE(group_->Idle(absl::Milliseconds(500)));
  group_->SendMasks(MasksOf(1, {{9}}));
  const auto result = group_->Next();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->compute_ns(), 0u);
  EXPECT_LT(absl::Nanoseconds(result->compute_ns()),
            absl::Now() - dispatched - absl::Milliseconds(100));
}

TEST_F(DrawTest, AMaskOfTheWrongSizeIsNamed) {
  Form(Options(TinyLlama(), LayoutOf(kOnCpu ? 2 : 1)));
  Start();
  Admit(3, 4);
  Entry(3, 0, Range(1, 4), {0}, STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK);
  SampleInput input = MasksOf(1, {{1}});
  input.mutable_masks()->pop_back();
  group_->SendMasks(input);
  const auto result = Run();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(result.status().message(), "step 1, slots 3: 31 bytes of masks where 1 of 32 are due");
}

TEST_F(DrawTest, ABiasTurnsTheChoiceAndGoesWithItsSequence) {
  const std::vector<uint32_t> prompt = Range(1, 5);
  for (const Layout& layout : Possible({LayoutOf(1), LayoutOf(2), LayoutOf(1, 2)})) {
    SCOPED_TRACE(LayoutName(layout));
    const GroupOptions options = Options(TinyLlama(), layout);
    Row logits = FullLogits(options.model, prompt).back();
    const uint32_t best = ArgMax(logits);
    logits[best] = -INFINITY;
    const uint32_t second = ArgMax(logits);
    Form(options);
    Start();
    SamplingParams& banned = *Admit(0, 5).mutable_sampling();
    banned.add_bias_token(best);
    banned.add_bias(-100);
    SamplingParams& wanted = *Admit(1, 5).mutable_sampling();
    wanted.add_bias_token(17);
    wanted.add_bias(100);
    wanted.set_logprobs(true);
    Admit(2, 5);
    for (uint32_t slot = 0; slot < 3; ++slot) Entry(slot, 0, prompt, {slot}, STEP_FLAG_SAMPLE);
    const auto first = Run();
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_THAT(first->token(), ::testing::ElementsAre(second, 17, best));
    EXPECT_NEAR(first->logprobs(0).sampled(),
                LogSoftmax(FullLogits(options.model, prompt).back())[17], kTolerance)
        << "of the raw distribution";
    Start();  // Its row is another's now: two rows, both taken again without a bias of this id.
    plan_.add_released_slots(0);
    plan_.add_released_slots(1);
    Admit(0, 5);
    SamplingParams& other = *Admit(1, 5).mutable_sampling();
    other.add_bias_token(3);
    other.add_bias(100);
    for (uint32_t slot = 0; slot < 2; ++slot) Entry(slot, 0, prompt, {4 + slot}, STEP_FLAG_SAMPLE);
    EXPECT_THAT(Run()->token(), ::testing::ElementsAre(best, 3));
  }
}

}  // namespace
}  // namespace regatta
