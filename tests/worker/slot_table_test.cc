// Plans against slots: each pair of facts that must agree, and plans that hold anything at all.
#include "worker/slot_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "worker/batch.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr SlotLimits kLimits = {.num_slots = 4,
                                .max_num_tokens = 32,
                                .max_seq_len = 30,
                                .block_size = 8,
                                .num_blocks = 16,
                                .vocab_size = 100,
                                .sampling_rows = 1};

void AddEntry(StepPlan& plan, uint32_t slot, uint32_t start, uint32_t count, uint32_t flags,
              const std::vector<uint32_t>& blocks) {
  plan.add_slot(slot);
  plan.add_start(start);
  plan.add_count(count);
  plan.add_flags(flags);
  plan.add_new_block_count(static_cast<uint32_t>(blocks.size()));
  plan.mutable_new_blocks()->Add(blocks.begin(), blocks.end());
  if (flags & (STEP_FLAG_INLINE_TOKENS | STEP_FLAG_LOGITS_ALL)) {
    for (uint32_t i = 0; i < count; ++i) plan.add_tokens((start + i) % 100);
  }
}

// Slot 1 gets a prompt of 10 tokens, of which step 1 runs `count`.
StepPlan FirstPlan(uint32_t count = 10) {
  StepPlan plan;
  plan.set_step_id(1);
  Admission& admission = *plan.add_admissions();
  admission.set_slot(1);
  admission.set_prompt_length(10);
  AddEntry(plan, 1, 0, count, STEP_FLAG_INLINE_TOKENS | (count == 10 ? STEP_FLAG_SAMPLE : 0),
           {3, 7});
  return plan;
}

TEST(SlotTableTest, ASequenceRunsThroughPrefillAndDecode) {
  SlotTable slots(kLimits);
  StepBatch batch;
  StepPlan plan = FirstPlan(6);
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  EXPECT_THAT(batch.token_ids, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(batch.query_start, ElementsAre(0, 6));
  EXPECT_THAT(batch.prompts, ElementsAre(0));
  EXPECT_THAT(batch.kv_slot, ElementsAre(24, 25, 26, 27, 28, 29));
  EXPECT_THAT(batch.block_table, ElementsAre(3));  // as far as this step reads
  EXPECT_TRUE(batch.sample_rows.empty());
  slots.Advance(plan);

  plan.Clear();
  plan.set_step_id(2);
  AddEntry(plan, 1, 6, 4, STEP_FLAG_INLINE_TOKENS | STEP_FLAG_SAMPLE, {});
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  EXPECT_THAT(batch.positions, ElementsAre(6, 7, 8, 9));
  EXPECT_THAT(batch.kv_slot, ElementsAre(30, 31, 56, 57));
  EXPECT_THAT(batch.context_length, ElementsAre(10));
  EXPECT_THAT(batch.sample_rows, ElementsAre(3));
  EXPECT_EQ(batch.sampling[0].output_index, 0u);
  slots.Advance(plan);

  plan.Clear();
  plan.set_step_id(3);
  AddEntry(plan, 1, 10, 1, STEP_FLAG_SAMPLE, {});
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  EXPECT_THAT(batch.token_ids, ElementsAre(-2));  // what was drawn last for slot 1
  EXPECT_THAT(batch.sample_slots, ElementsAre(1));
  EXPECT_TRUE(batch.prompts.empty());
  EXPECT_EQ(batch.sampling[0].output_index, 1u);
  EXPECT_THAT(batch.block_table, ElementsAre(3, 7));
}

// Applies FirstPlan after `change`, then, when given, a second plan.
std::string ErrorOf(std::function<void(StepPlan&)> change,
                    std::function<void(StepPlan&)> second = nullptr) {
  SlotTable slots(kLimits);
  StepPlan plan = FirstPlan();
  if (change) change(plan);
  absl::Status status = slots.Apply(plan);
  if (status.ok() && second) {
    slots.Advance(plan);
    plan.Clear();
    plan.set_step_id(2);
    second(plan);
    status = slots.Apply(plan);
  }
  return std::string(status.message());
}

std::string SecondError(std::function<void(StepPlan&)> second) { return ErrorOf(nullptr, second); }

TEST(SlotTableTest, MalformedPlansAreNamed) {
  EXPECT_EQ(ErrorOf(nullptr), "");
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_step_id(2); }), HasSubstr("step 2 follows step 0"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.add_start(1); }), HasSubstr("1 slots, but 2 of start"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.clear_flags(); }), HasSubstr("0 of flags"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_count(0, 33); }), HasSubstr("33 tokens exceed"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_count(0, 0); }), HasSubstr("count 0, but there are 10"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.add_tokens(1); }), HasSubstr("there are 11 tokens"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_tokens(4, 100); }), HasSubstr("token 100 is outside"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.add_new_blocks(1); }), HasSubstr("sums to 2"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_new_blocks(0, 16); }), HasSubstr("block 16 of 16"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_slot(0, 4); }), HasSubstr("slot 4 of 4"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_flags(0, 16 | STEP_FLAG_INLINE_TOKENS); }),
              HasSubstr("unknown flags"));
  EXPECT_THAT(
      ErrorOf([](auto& p) { p.set_flags(0, STEP_FLAG_AWAITS_MASK | STEP_FLAG_INLINE_TOKENS); }),
      HasSubstr("slot 1: a mask, but no draw"));
  EXPECT_THAT(ErrorOf([](auto& p) {
                AddEntry(p, 2, 0, 1, STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK, {1});
                p.set_flags(0, p.flags(0) | STEP_FLAG_AWAITS_MASK);
              }),
              HasSubstr("2 entries await masks; sampling_rows is 1"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_flags(0, STEP_FLAG_LOGITS_ALL); }),
              HasSubstr("count 11, but there are 10 tokens"));
  EXPECT_THAT(ErrorOf([](auto& p) {
                p.set_flags(0, STEP_FLAG_LOGITS_ALL);
                p.add_tokens(1);
              }),
              HasSubstr("slot 1: a token behind 10 of 10 tokens"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.add_released_slots(9); }), HasSubstr("released slot 9"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.mutable_admissions(0)->set_slot(7); }),
              HasSubstr("admission to slot 7 of 4"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.mutable_admissions(0)->set_prompt_length(31); }),
              HasSubstr("max_seq_len 30"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.mutable_admissions(0)->set_output_length(~0u); }),
              HasSubstr("max_seq_len 30"));
  EXPECT_THAT(ErrorOf([](auto& p) { AddEntry(p, 1, 10, 1, 0, {}); }), HasSubstr("twice"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.set_start(0, 1); }), HasSubstr("no multiple of block size"));
}

TEST(SlotTableTest, PlansThatDisagreeWithTheSlotAreNamed) {
  EXPECT_THAT(SecondError([](auto& p) { AddEntry(p, 1, 11, 1, 0, {}); }),
              HasSubstr("start 11, but its position is 10"));
  EXPECT_THAT(SecondError([](auto& p) { AddEntry(p, 1, 9, 1, 0, {}); }),
              HasSubstr("start 9, but its position is 10"));
  EXPECT_THAT(SecondError([](auto& p) { AddEntry(p, 1, 10, 2, STEP_FLAG_INLINE_TOKENS, {}); }),
              HasSubstr("tokens up to 12, but the sequence has 11"));
  EXPECT_THAT(SecondError([](auto& p) { AddEntry(p, 2, 0, 1, 0, {}); }),
              HasSubstr("slot 2 is scheduled but holds no sequence"));
  EXPECT_THAT(SecondError([](auto& p) { p.add_released_slots(0); }),
              HasSubstr("slot 0 is released but holds no sequence"));
  EXPECT_THAT(SecondError([](auto& p) {
                p.add_admissions()->set_slot(1);
                p.mutable_admissions(0)->set_prompt_length(1);
              }),
              HasSubstr("slot 1, which holds a sequence"));
  EXPECT_THAT(SecondError([](auto& p) {
                AddEntry(p, 1, 10, 1, 0, {1, 2, 3});
              }),
              HasSubstr("5 blocks exceed the 4"));
  EXPECT_THAT(ErrorOf([](auto& p) {
                p.set_new_block_count(0, 1);
                p.mutable_new_blocks()->RemoveLast();
              }),
              HasSubstr("tokens up to 10, but 1 blocks of 8"));
  EXPECT_THAT(ErrorOf([](auto& p) {
                p.set_flags(0, STEP_FLAG_SAMPLE);
                p.clear_tokens();
              }),
              HasSubstr("neither given nor drawn"));
  EXPECT_THAT(ErrorOf([](auto& p) { p.mutable_admissions(0)->set_prompt_length(12); }),
              HasSubstr("samples at 10 of 12 tokens"));
}

TEST(SlotTableTest, BadSamplingIsNamed) {
  const auto error = [](std::function<void(SamplingParams&)> change) {
    return ErrorOf([&](StepPlan& p) { change(*p.mutable_admissions(0)->mutable_sampling()); });
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error([&](auto& s) { s.set_temperature(nan); }), HasSubstr("temperature nan"));
  EXPECT_THAT(error([](auto& s) { s.set_temperature(-1); }), HasSubstr("temperature -1"));
  EXPECT_THAT(error([](auto& s) { s.set_top_p(1.5); }), HasSubstr("top_p 1.5"));
  EXPECT_THAT(error([](auto& s) { s.set_top_logprobs(21); }), HasSubstr("exceeds 20"));
  EXPECT_THAT(error([](auto& s) { s.add_suppressed_until_min_tokens(100); }),
              HasSubstr("suppressed id 100"));
  EXPECT_THAT(error([](auto& s) { s.set_presence_penalty(1); }),
              HasSubstr("0 penalty_tokens where 10 are due"));
  const auto bias = [&](uint32_t token, float value) {
    return error([&](auto& s) {
      s.add_bias_token(token);
      s.add_bias(value);
      s.add_bias_token(7);
      s.add_bias(1);
    });
  };
  EXPECT_EQ(bias(99, -100), "");
  EXPECT_THAT(bias(100, 1), HasSubstr("bias token 100 is outside"));
  EXPECT_THAT(bias(1, nan), HasSubstr("bias nan"));
  EXPECT_THAT(bias(1, 101), HasSubstr("bias 101 is outside -100 to 100"));
  EXPECT_THAT(bias(7, 1), HasSubstr("bias token 7 is given twice"));
  EXPECT_THAT(error([](auto& s) { s.add_bias(1); }), HasSubstr("0 bias tokens, 1 biases"));
  EXPECT_THAT(error([](auto& s) {
                s.mutable_bias_token()->Resize(1025, 1);
                s.mutable_bias()->Resize(1025, 1);
              }),
              HasSubstr("at most 1024"));
}

// Two chunks and a draw: each token predicts the next, also across the border.
TEST(SlotTableTest, ScoredTokensAreThoseThatFollow) {
  SlotTable slots(kLimits);
  StepBatch batch;
  StepPlan plan = FirstPlan(6);
  plan.mutable_admissions(0)->mutable_sampling()->set_top_logprobs(3);
  plan.set_flags(0, STEP_FLAG_LOGITS_ALL);
  plan.add_tokens(6);
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  EXPECT_THAT(batch.token_ids, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(batch.scored_rows, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(batch.scored_ids, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(batch.scored[0].count, 6);
  EXPECT_EQ(batch.scored[0].num_top, 3);
  slots.Advance(plan);
  plan.Clear();
  plan.set_step_id(2);
  AddEntry(plan, 1, 6, 4, STEP_FLAG_LOGITS_ALL | STEP_FLAG_SAMPLE | STEP_FLAG_AWAITS_MASK, {});
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  EXPECT_THAT(batch.scored_rows, ElementsAre(0, 1, 2));
  EXPECT_THAT(batch.scored_ids, ElementsAre(7, 8, 9));
  EXPECT_EQ(batch.scored[0].count, 3);
  EXPECT_EQ(batch.num_masks, 1);
  EXPECT_EQ(batch.sampling[0].mask_row, 0);
}

TEST(SlotTableTest, SamplingRowsAreLimitedAndGivenBack) {
  SlotTable slots(kLimits);
  StepPlan plan;
  for (uint64_t step = 1; step <= 3; ++step) {
    plan.Clear();
    plan.set_step_id(step);
    if (step > 1) plan.add_released_slots(0);
    for (uint32_t slot = 0; slot < (step == 3 ? 2u : 1u); ++slot) {
      Admission& admission = *plan.add_admissions();
      admission.set_slot(slot);
      admission.set_prompt_length(1);
      if (step == 2) {
        admission.mutable_sampling()->add_bias_token(5);
        admission.mutable_sampling()->add_bias(1);
      } else {
        admission.mutable_sampling()->set_presence_penalty(1);
        admission.add_penalty_tokens(5);
      }
    }
    const absl::Status status = slots.Apply(plan);
    if (step < 3) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_EQ(slots.slot(0).sampling.penalty_row, step == 1 ? 0 : -1);
      EXPECT_EQ(slots.slot(0).sampling.bias_row, step == 1 ? -1 : 0);
    } else {
      EXPECT_THAT(status.message(), HasSubstr("all 1 sampling rows are taken"));
    }
  }
}

TEST(SlotTableTest, PaddedSequencesWriteNothingAndReadTheFirstBlock) {
  SlotTable slots(kLimits);
  StepBatch batch;
  StepPlan plan = FirstPlan();
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  EXPECT_FALSE(IsDecode(batch));
  slots.Advance(plan);
  plan.Clear();
  plan.set_step_id(2);
  AddEntry(plan, 1, 10, 1, STEP_FLAG_SAMPLE, {});
  ASSERT_TRUE(slots.Apply(plan).ok());
  BuildBatch(plan, slots, batch);
  ASSERT_TRUE(IsDecode(batch));
  PadDecode(3, batch);
  EXPECT_THAT(batch.token_ids, ElementsAre(-2, 0, 0));
  EXPECT_THAT(batch.kv_slot, ElementsAre(58, -1, -1));
  EXPECT_THAT(batch.query_start, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(batch.context_length, ElementsAre(11, 1, 1));
  EXPECT_THAT(batch.block_start, ElementsAre(0, 0, 0));
  EXPECT_THAT(batch.sample_rows, ElementsAre(0, 1, 2));
  EXPECT_EQ(batch.sampling.size(), 1u) << "padding draws nothing";
}

// Anything that parses either is refused or gives a batch whose every index is within bounds.
void CheckBatch(const StepPlan& plan, const SlotTable& slots, StepBatch& batch) {
  BuildBatch(plan, slots, batch);
  const int blocks = static_cast<int>(kLimits.num_blocks);
  ASSERT_LE(batch.num_tokens(), static_cast<int>(kLimits.max_num_tokens));
  ASSERT_LE(batch.sample_rows.size(), kLimits.num_slots);
  for (int id : batch.token_ids)
    ASSERT_TRUE(id >= -static_cast<int>(kLimits.num_slots) && id < 100);
  for (int64_t slot : batch.kv_slot) ASSERT_TRUE(slot >= 0 && slot < blocks * 8);
  for (int position : batch.positions) ASSERT_TRUE(position >= 0 && position < 30);
  for (int block : batch.block_table) ASSERT_TRUE(block >= 0 && block < blocks);
  for (const SampleRow& row : batch.sampling) ASSERT_LT(std::max(row.penalty_row, row.mask_row), 1);
  ASSERT_EQ(batch.scored_rows.size(), batch.scored_ids.size());
  for (int row : batch.scored_rows) ASSERT_TRUE(row >= 0 && row < batch.num_tokens());
  for (int id : batch.scored_ids) ASSERT_TRUE(id >= 0 && id < 100);
}

TEST(SlotTableTest, RandomPlansAreRefusedOrSafe) {
  std::mt19937 random(1);
  const auto number = [&]() -> uint32_t {
    switch (random() % 8) {
      case 0:
        return random();
      case 1:
        return ~0u - random() % 3;
      default:
        return random() % 12;
    }
  };
  int accepted = 0;
  StepBatch batch;
  for (int trial = 0; trial < 100000; ++trial) {
    SlotTable slots(kLimits);
    for (uint64_t step = 1; step <= 4; ++step) {
      StepPlan plan = step == 1 ? FirstPlan(random() % 2 == 0 ? 10 : 6) : StepPlan();
      plan.set_step_id(step);
      const auto* fields = StepPlan::GetDescriptor();
      // A few columns of anything, or a few changes of a good plan.
      for (int change = random() % 4; change > 0; --change) {
        const auto* field = fields->field(random() % fields->field_count());
        if (!field->is_repeated() || field->cpp_type() != field->CPPTYPE_UINT32) continue;
        const auto* reflection = plan.GetReflection();
        const int size = reflection->FieldSize(plan, field);
        if (size > 0 && random() % 2 == 0) {
          reflection->SetRepeatedUInt32(&plan, field, random() % size, number());
        } else {
          reflection->AddUInt32(&plan, field, number());
        }
      }
      if (random() % 3 == 0) {
        Admission& admission = *plan.add_admissions();
        admission.set_slot(number());
        admission.set_prompt_length(number());
        admission.set_output_length(random() % 2 == 0 ? 0 : number());
      }
      if (random() % 2 == 0) {
        AddEntry(plan, random() % 4, number(), 1 + random() % 4, random() % 16, {number()});
      }
      if (!slots.Apply(plan).ok()) break;
      ++accepted;
      CheckBatch(plan, slots, batch);
      slots.Advance(plan);
    }
  }
  EXPECT_GT(accepted, 10000);
}

TEST(SlotTableTest, RandomBytesAreRefusedOrSafe) {
  std::mt19937 random(2);
  const std::string good = FirstPlan().SerializeAsString();
  StepBatch batch;
  for (int trial = 0; trial < 100000; ++trial) {
    std::string bytes = good;
    for (int flips = 1 + random() % 3; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    StepPlan plan;
    if (!plan.ParseFromString(bytes)) continue;
    SlotTable slots(kLimits);
    if (slots.Apply(plan).ok()) CheckBatch(plan, slots, batch);
  }
}

}  // namespace
}  // namespace regatta
