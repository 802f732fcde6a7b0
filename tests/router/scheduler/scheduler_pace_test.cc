// How the scheduler uses the pace of prompts (prompt_pace.h).
#include <gtest/gtest.h>

#include <vector>

#include "tests/router/scheduler/scheduler_harness.h"

namespace regatta {
namespace {

SchedulerOptions RoomyOptions() {
  SchedulerOptions options = Options();
  options.limits.set_max_batch_size(128);
  options.limits.set_max_num_tokens(2048);
  options.limits.set_max_seq_len(4096);
  options.num_blocks = 1 << 16;
  return options;
}

// So many sequences that decode for long.
void KeepBusy(uint64_t sequences, Harness& harness) {
  for (uint64_t id = 1; id <= sequences; ++id) harness.Add(Spec(id, 4, 3000));
}

// Of ten prompts of 128 tokens that come at once, those that the next plan takes.
int TakenOfTen(Harness& harness) {
  for (uint64_t id = 200; id < 210; ++id) harness.Add(Spec(id, 128, 100));
  return harness.Step().admissions_size();
}

TEST(SchedulerPaceTest, PromptsAreDealtOutOverPlansAsSequencesEnd) {
  for (const bool paced : {true, false}) {
    SchedulerOptions options = RoomyOptions();
    options.pace_prompts = paced;
    Harness harness(options);
    KeepBusy(50, harness);
    harness.Add(Spec(51, 4, 4));
    for (int i = 0; i < 200; ++i) harness.Step();
    EXPECT_EQ(TakenOfTen(harness), paced ? 1 : 10);
  }
}

// The stages of a pipeline take turns with their sequences.
TEST(SchedulerPaceTest, PromptsOfAPipelineAreNotPaced) {
  SchedulerOptions options = RoomyOptions();
  options.stages = 2;
  Harness harness(options);
  KeepBusy(50, harness);
  harness.Add(Spec(51, 4, 4));
  for (int i = 0; i < 200; ++i) harness.Step();
  EXPECT_EQ(TakenOfTen(harness), 10);
}

// What the prefix cache holds of a prompt is not computed: it does not make room for more.
TEST(SchedulerPaceTest, ThePaceCountsWhatIsComputed) {
  Harness harness(RoomyOptions());
  KeepBusy(50, harness);
  for (int i = 0; i < 64; ++i) {
    harness.Add(Spec(100, 1024, 10));
    for (int step = 0; step < 12; ++step) harness.Step();
  }
  EXPECT_EQ(TakenOfTen(harness), 2);  // 60 x 2 x (1024 + 63 x 4) / 64 / 10 tokens
}

// Sequences of high priority keep coming, more of them than the pace takes: one of low priority
// that nothing else holds back gets its turn.
TEST(SchedulerPaceTest, ThePaceHoldsNobodyBackForLong) {
  Harness harness(RoomyOptions());
  KeepBusy(40, harness);
  harness.Add(Spec(41, 4, 1));
  for (int i = 0; i < 200; ++i) harness.Step();
  uint64_t id = 100;
  const auto add_urgent = [&] {
    SequenceSpec urgent = Spec(++id, 128, 2000);
    urgent.priority = 1;
    harness.Add(std::move(urgent));
  };
  const SequenceSpec patient = Spec(99, 128, 10);
  harness.Add(patient);
  int plans = 0;
  bool held_back = false;
  for (bool started = false; !started && plans < 100; ++plans) {
    while (harness->state().waiting < 6) add_urgent();
    const StepPlan plan = harness.Step();
    for (const uint64_t other : harness->started()) started |= other == patient.id;
    held_back |= harness->state().waiting > 0;
  }
  EXPECT_TRUE(held_back) << "there was no pace";
  EXPECT_LE(plans, 26);
}

}  // namespace
}  // namespace regatta
