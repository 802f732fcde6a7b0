// A point over time: both columns on one clock, as small after an hour as after a minute.
#include "orchestrator/cluster/point_timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::ElementsAre;

TEST(ThinnedSeriesTest, KeepsAllOfFewSamples) {
  ThinnedSeries<int> series(4);
  for (int i = 0; i < 4; ++i) series.Add(i);
  EXPECT_THAT(series.Take(), ElementsAre(0, 1, 2, 3));
}

TEST(ThinnedSeriesTest, StaysSmallEvenAndFromTheStart) {
  ThinnedSeries<int> series(4);
  for (int i = 0; i < 1000; ++i) series.Add(i);
  EXPECT_THAT(series.Take(), ElementsAre(0, 256, 512, 768));
}

TEST(PointTimelineTest, ColumnsOfClientAndRouter) {
  PointTimelineRecorder recorder;
  LoadProgress progress;
  progress.elapsed_s = 0.2;
  progress.in_flight = 3;
  progress.output_tokens = 17;
  recorder.AddClient(progress);
  ClusterState state;
  state.set_output_tokens(1000);  // of earlier points too
  state.set_running(2);
  state.set_waiting(1);
  state.set_kv_usage(0.25);
  recorder.AddRouter(state, 4'990'000'000);  // before the load
  recorder.AddRouter(state, 5'100'000'000);
  state.set_output_tokens(1016);
  recorder.AddRouter(state, 5'200'000'000);
  const PointTimeline timeline = recorder.Take(/*start_ns=*/5'000'000'000);
  EXPECT_THAT(timeline.client_ms(), ElementsAre(200));
  EXPECT_THAT(timeline.in_flight(), ElementsAre(3));
  EXPECT_THAT(timeline.client_tokens(), ElementsAre(17));
  EXPECT_THAT(timeline.router_ms(), ElementsAre(100, 200));
  EXPECT_THAT(timeline.running(), ElementsAre(2, 2));
  EXPECT_THAT(timeline.waiting(), ElementsAre(1, 1));
  EXPECT_THAT(timeline.kv_usage(), ElementsAre(0.25, 0.25));
  EXPECT_THAT(timeline.router_tokens(), ElementsAre(0, 16));
}

TEST(PointTimelineTest, NothingAdded_NoColumns) {
  EXPECT_EQ(PointTimelineRecorder().Take(0).SerializeAsString(), "");
}

}  // namespace
}  // namespace regatta
