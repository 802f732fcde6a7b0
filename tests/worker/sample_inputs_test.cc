// Masks between two threads: order, bounds, and every way a wait ends.
#include "worker/sample_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/time/clock.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

SampleInput Input(uint64_t step, const std::string& masks) {
  SampleInput input;
  input.set_step_id(step);
  input.set_masks(masks);
  return input;
}

absl::Status Healthy() { return absl::OkStatus(); }

TEST(SampleInputsTest, MasksAreTakenByStepInWhateverOrderTheyCome) {
  SampleInputs inputs;
  ASSERT_TRUE(inputs.Put(Input(4, "four")).ok());
  ASSERT_TRUE(inputs.Put(Input(2, "two")).ok());
  EXPECT_EQ(*inputs.Await(2, Healthy), "two");
  std::thread late([&] {
    absl::SleepFor(absl::Milliseconds(20));
    ASSERT_TRUE(inputs.Put(Input(3, "three")).ok());
  });
  EXPECT_EQ(*inputs.Await(3, Healthy), "three");
  late.join();
  EXPECT_EQ(*inputs.Await(4, Healthy), "four");
}

TEST(SampleInputsTest, WhatNobodyTookIsDropped) {
  SampleInputs inputs(absl::Milliseconds(1));
  for (uint64_t step = 1; step <= SampleInputs::kMaxQueued; ++step) {
    ASSERT_TRUE(inputs.Put(Input(step, "x")).ok());
  }
  EXPECT_THAT(inputs.Put(Input(999, "x")).ToString(), HasSubstr("masks of 128 steps wait"));
  EXPECT_TRUE(inputs.Await(100, Healthy).ok());
  EXPECT_TRUE(inputs.Put(Input(999, "x")).ok());
  EXPECT_THAT(inputs.Put(Input(999, "x")).ToString(), HasSubstr("step 999 came twice"));
  EXPECT_EQ(inputs.Await(99, Healthy).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(SampleInputsTest, ADeadlineALostPeerAndTheStreamsEndEndTheWait) {
  SampleInputs impatient(absl::Milliseconds(30));
  const auto late = impatient.Await(1, Healthy);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(late.status().message(), "no masks came within 30ms");
  SampleInputs inputs;
  EXPECT_EQ(
      inputs.Await(1, [] { return absl::UnavailableError("rank 3 is gone"); }).status().message(),
      "rank 3 is gone");
  ASSERT_TRUE(inputs.Put(Input(2, "here")).ok());
  std::thread closer([&] {
    absl::SleepFor(absl::Milliseconds(20));
    inputs.Close();
  });
  EXPECT_EQ(inputs.Await(1, Healthy).status().code(), absl::StatusCode::kCancelled);
  closer.join();
  EXPECT_EQ(*inputs.Await(2, Healthy), "here") << "it had come before the end";
  EXPECT_EQ(inputs.Await(3, Healthy).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace regatta
