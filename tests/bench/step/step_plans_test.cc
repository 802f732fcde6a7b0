// A worker's slot table accepts every plan, and they say what was asked.
#include "tests/bench/step/step_plans.h"

#include <gtest/gtest.h>

#include <set>

#include "worker/slot_table.h"

namespace regatta {
namespace {

TEST(StepPlans, FillInChunksThenDecodeAndBeginAgain) {
  const LoadShape shape = {.max_batch_size = 5,
                           .max_num_tokens = 48,
                           .max_seq_len = 100,
                           .block_size = 16,
                           .vocab_size = 50};
  SlotTable table({5, 48, 100, 16, shape.num_blocks(), 50, 0});
  StepPlans plans(shape);
  for (const uint32_t batch : {3u, 5u, 1u}) {
    plans.Begin(batch, 40);
    uint32_t given = 0, drawn = 0;
    while (const std::optional<StepPlan> plan = plans.Fill()) {
      ASSERT_TRUE(table.Apply(*plan).ok()) << table.Apply(*plan);
      table.Advance(*plan);
      given += plan->tokens_size();
      for (const uint32_t flags : plan->flags()) drawn += (flags & STEP_FLAG_SAMPLE) != 0;
    }
    EXPECT_EQ(given, batch * 40);
    EXPECT_EQ(drawn, batch);
    for (int step = 0; step < 60; ++step) {
      const StepPlan plan = plans.Decode();
      const absl::Status status = table.Apply(plan);
      ASSERT_TRUE(status.ok()) << status;
      table.Advance(plan);
      EXPECT_EQ(plan.slot_size(), static_cast<int>(batch));
    }
    std::set<int32_t> blocks;
    for (uint32_t slot = 0; slot < batch; ++slot) {
      EXPECT_EQ(table.slot(slot).position, 100u);
      blocks.insert(table.slot(slot).blocks.begin(), table.slot(slot).blocks.end());
    }
    EXPECT_EQ(blocks.size(), batch * shape.blocks_per_slot()) << "no block is shared";
  }
}

TEST(StepPlans, TurnsKeepEverySlotBusyAndSpreadPrompts) {
  const LoadShape shape = {.max_batch_size = 6,
                           .max_num_tokens = 70,
                           .max_seq_len = 33,
                           .block_size = 4,
                           .vocab_size = 50};
  SlotTable table({6, 70, 33, 4, shape.num_blocks(), 50, 0});
  StepPlans plans(shape);
  const uint32_t prompt = 20, output = 12;
  plans.Begin(6, prompt);
  while (const std::optional<StepPlan> plan = plans.Fill()) {
    ASSERT_TRUE(table.Apply(*plan).ok());
    table.Advance(*plan);
  }
  uint32_t begun = 0, most = 0;
  for (uint32_t step = 0; step < 10 * output; ++step) {
    const StepPlan plan = plans.Turn(output);
    const absl::Status status = table.Apply(plan);
    ASSERT_TRUE(status.ok()) << status;
    table.Advance(plan);
    ASSERT_EQ(plan.slot_size(), 6);
    for (const uint32_t flags : plan.flags()) ASSERT_NE(flags & STEP_FLAG_SAMPLE, 0u);
    begun += plan.admissions_size();
    if (step >= output) most = std::max<uint32_t>(most, plan.admissions_size());
  }
  EXPECT_EQ(begun, 6u * 10);
  EXPECT_EQ(most, 1u) << "prompts come one by one";
}

}  // namespace
}  // namespace regatta
