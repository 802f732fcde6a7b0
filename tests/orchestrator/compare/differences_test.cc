// What is named when two runs were not measured alike.
#include "orchestrator/compare/differences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/orchestrator/compare/compared_runs.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SweepReport OnGpus() {
  SweepReport sweep;
  sweep.set_commit("c1");
  sweep.mutable_environment()->set_driver("580.1");
  for (uint32_t index : {0u, 1u}) {
    GpuDescription& gpu = *sweep.mutable_environment()->add_gpus();
    gpu.set_index(index);
    gpu.set_name("NVIDIA H100");
    gpu.set_power_limit_w(700);
    gpu.set_max_sm_clock_mhz(1980);
  }
  PointReport& run = AddRun(8, 1, 100, 20, sweep);
  run.mutable_engine()->set_model("llama");
  run.mutable_engine()->set_dtype("bfloat16");
  run.mutable_machine()->set_name("NVIDIA H100");
  sweep.mutable_journal()->mutable_identity()->set_dataset_hash("aa");
  GpuEnergy& energy = *run.mutable_regatta()->mutable_energy()->add_gpus();
  energy.set_used(true);
  energy.set_mean_sm_clock_mhz(1900);
  return sweep;
}

// "what: a -> b", with "!" before those that spoil.
std::vector<std::string> Lines(const SweepReport& a, const SweepReport& b) {
  std::vector<std::string> lines;
  for (const SideDifference& d : DifferencesOf(a, b)) {
    lines.push_back((d.spoils() ? "! " : "") + d.what() + ": " + d.a() + " -> " + d.b());
  }
  return lines;
}

TEST(DifferencesTest, RunsThatWereMeasuredAlikeHaveNone) {
  EXPECT_THAT(Lines(OnGpus(), OnGpus()), IsEmpty());
}

TEST(DifferencesTest, NamesTheMachineFirstThenTheSystem) {
  SweepReport other = OnGpus();
  other.mutable_environment()->set_driver("550.9");
  other.mutable_environment()->mutable_gpus(1)->set_power_limit_w(500);
  other.mutable_runs(0)->mutable_engine()->set_dtype("float8");
  other.mutable_runs(0)->mutable_machine()->set_name("NVIDIA H200");
  other.mutable_journal()->mutable_identity()->set_dataset_hash("bb");
  EXPECT_THAT(Lines(OnGpus(), other),
              ElementsAre("! device: NVIDIA H100 -> NVIDIA H200", "! driver: 580.1 -> 550.9",
                          "! power limit of GPU 1: 700 W -> 500 W", "! prompts: aa -> bb",
                          "dtype: bfloat16 -> float8"));
}

TEST(DifferencesTest, PromptsAreToldApartByWhatTheyAreRatherThanByTheirFiles) {
  SweepReport a = OnGpus(), b = OnGpus();
  a.set_dataset_path("one.jsonl");
  b.set_dataset_path("two.jsonl");
  EXPECT_THAT(Lines(a, b), IsEmpty());
  b.mutable_journal()->Clear();  // imported, say
  EXPECT_THAT(Lines(a, b), ElementsAre("! data set: one.jsonl -> two.jsonl"));
}

TEST(DifferencesTest, ClocksUnderLoadMayStepALittle) {
  SweepReport other = OnGpus();
  GpuEnergy& energy = *other.mutable_runs(0)->mutable_regatta()->mutable_energy()->mutable_gpus(0);
  energy.set_mean_sm_clock_mhz(1890);
  EXPECT_THAT(Lines(OnGpus(), other), IsEmpty());
  energy.set_mean_sm_clock_mhz(1500);
  EXPECT_THAT(Lines(OnGpus(), other),
              ElementsAre("! mean SM clock under load: 1900 MHz -> 1500 MHz"));
}

TEST(DifferencesTest, WhatOneDoesNotTellIsNoDifference) {
  SweepReport other = OnGpus();
  other.mutable_environment()->Clear();
  EXPECT_THAT(Lines(OnGpus(), other), IsEmpty());
}

TEST(DifferencesTest, AScheduleThatOneDoesNotKnowIsNamed) {
  SweepReport a = OnGpus(), b = OnGpus();
  for (SweepReport* sweep : {&a, &b}) {
    PointReport& run = *sweep->mutable_runs(0);
    run.mutable_regatta()->mutable_load()->set_request_rate(20);
    // As summaries tell it, which have no means.
    run.mutable_performance()->mutable_request_latency_percentiles_ms()->set_p50(30);
  }
  EXPECT_THAT(Lines(a, b), IsEmpty()) << "neither knows it";
  a.mutable_runs(0)->mutable_regatta()->mutable_latency_scheduled_ms()->set_average(300);
  EXPECT_THAT(Lines(a, b), ElementsAre("! when requests were due: known -> not known (latencies "
                                       "of both are from when they were sent)"));
}

TEST(DifferencesTest, TheBuildAndClientBoundLoadsAreNamed) {
  SweepReport other = OnGpus();
  other.set_commit("c2");
  other.mutable_runs(0)->mutable_regatta()->mutable_client()->set_bound(true);
  EXPECT_THAT(Lines(OnGpus(), other),
              ElementsAre("! client's commit: c1 -> c2", "! client-bound loads: none -> some"));
}

}  // namespace
}  // namespace regatta
