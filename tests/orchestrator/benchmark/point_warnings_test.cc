// When a point's figures carry a warning.
#include "orchestrator/benchmark/point_warnings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(WarningsTest, ACleanPointHasNone) {
  PointReport point;
  point.mutable_regatta()->set_concurrency(4);
  point.mutable_request_info()->set_avg_num_concurrent_requests(3.9);
  EXPECT_THAT(WarningsOf(point, {40, 0, true, false}), IsEmpty());
}

TEST(WarningsTest, EveryConditionIsSaid) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(8);
  info.set_issued_requests(30);
  info.set_cut_short(true);
  info.set_length_mismatches(3);
  info.set_asked_output_length(64);
  info.set_preemptions(5);
  point.mutable_request_info()->set_num_requests(30);
  point.mutable_request_info()->set_avg_num_concurrent_requests(4);
  point.mutable_request_info()->set_avg_output_length(60);
  EXPECT_THAT(WarningsOf(point, {80, 6, true, false, 12}),
              ElementsAre(HasSubstr("cut short after 12 s (--max-time-per-point): 30 of 80"),
                          HasSubstr("6 prompts were sent before"),
                          HasSubstr("3 requests have another output length"),
                          HasSubstr("4.0 requests were in flight on average, 8 were asked"),
                          HasSubstr("5 sequences were recomputed")));
}

TEST(WarningsTest, TheSteadyWindowSaysWhetherTheConcurrencyWasReached) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(100);
  point.mutable_request_info()->set_num_requests(1000);
  point.mutable_request_info()->set_avg_num_concurrent_requests(80);  // ramp and drain
  info.mutable_steady_window()->set_found(true);
  info.mutable_steady_window()->set_avg_num_concurrent_requests(99);
  EXPECT_THAT(WarningsOf(point, {1000, 0, true, false}), IsEmpty());
  info.mutable_steady_window()->set_avg_num_concurrent_requests(94);
  EXPECT_THAT(WarningsOf(point, {1000, 0, true, false}),
              ElementsAre(HasSubstr("94.0 requests were in flight on average in the steady")));
}

TEST(WarningsTest, EarlyEndsCountsCacheAndSlowGpus) {
  PointReport point;
  RegattaInfo& info = *point.mutable_regatta();
  info.set_length_mismatches(3);
  info.set_early_stops(2);
  info.set_token_count_mismatches(7);
  info.set_cached_prompt_fraction(0.125);
  for (const bool used : {true, false}) {
    GpuEnergy& gpu = *info.mutable_energy()->add_gpus();
    gpu.set_index(used ? 0 : 1);
    gpu.set_used(used);
    gpu.set_throttled_fraction(0.5);
    gpu.add_throttle_reasons("power cap");
  }
  EXPECT_THAT(WarningsOf(point, {10, 0, true, false}),
              ElementsAre(HasSubstr("asked 0.0); 2 ended early: the server"),
                          HasSubstr("of 7 requests the server counts other tokens"),
                          HasSubstr("12.5 % of the prompt tokens came from the server's prefix"),
                          "GPU 0 was slowed down in 50 % of the samples: power cap"));
  // Ends are the model's where they are heeded, and the cache may be meant.
  info.set_token_count_mismatches(0);
  info.clear_energy();
  info.set_prefix_cache(true);
  EXPECT_THAT(WarningsOf(point, {10, 0, false, false}), IsEmpty());
}

}  // namespace
}  // namespace regatta
