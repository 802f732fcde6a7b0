// The live view as text, and what is written to redraw it.
#include "orchestrator/terminal/sweep_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace regatta {
namespace {

using ::testing::ElementsAre;

SweepSnapshot Running() {
  SweepSnapshot snapshot;
  snapshot.label = "[2/5] concurrency 4";
  snapshot.progress.total = 40;
  snapshot.progress.completed = 10;
  snapshot.progress.in_flight = 4;
  snapshot.progress.elapsed_s = 5;
  snapshot.progress.tokens_per_s = 800;
  snapshot.tokens_per_s = {0, 400, 800};
  snapshot.left = {15, TimeEstimate{180, 720}};
  return snapshot;
}

TEST(SweepScreenTest, WithoutRouterAndPoints) {
  EXPECT_THAT(RenderSweepScreen(Running(), 80),
              ElementsAre("[2/5] concurrency 4: 10/40 done, ETA 15 s, whole run 3 min to 12 min",
                          "██████░░░░░░░░░░░░░░░░░░  in flight 4", "tok/s      ▁▅█  800.0"));
}

TEST(SweepScreenTest, ShowsLatenciesOfRecentRequests) {
  SweepSnapshot snapshot = Running();
  snapshot.progress.ttft = {12, 20.25, 40.5};
  snapshot.ttft_p95_ms = {std::nan(""), 20, 40.5};
  const std::vector<std::string> first = RenderSweepScreen(snapshot, 80);
  ASSERT_EQ(first.size(), 4u) << "no TPOT yet";
  EXPECT_EQ(first[3], "TTFT p95    ▄█  40.5 ms (p50 20.2)");
  snapshot.tpot_p95_ms = {std::nan(""), 5, std::nan("")};
  EXPECT_EQ(RenderSweepScreen(snapshot, 80)[4], "TPOT p95    █   -") << "none lately";
}

TEST(SweepScreenTest, LongSeriesLeaveRoomForTheirFigures) {
  SweepSnapshot snapshot = Running();
  snapshot.progress.ttft = {12, 20.25, 40.5};
  snapshot.ttft_p95_ms.assign(160, 40.5);
  EXPECT_THAT(RenderSweepScreen(snapshot, 60)[3], ::testing::EndsWith("█  40.5 ms (p50 20.2)"));
}

TEST(SweepScreenTest, ShowsTheRouterAndTheFrontierSoFar) {
  SweepSnapshot snapshot = Running();
  snapshot.router.emplace();
  snapshot.router->set_running(3);
  snapshot.router->set_waiting(1);
  snapshot.router->set_kv_usage(0.42);
  PointReport& point = *snapshot.done.add_points();
  point.mutable_regatta()->set_concurrency(1);
  point.mutable_request_info()->set_num_requests(10);
  point.mutable_performance()->set_output_throughput_per_gpu_tok_s(50);
  point.mutable_performance()->set_output_throughput_per_user_tok_s(50);
  const std::vector<std::string> lines = RenderSweepScreen(snapshot, 80);
  EXPECT_EQ(lines[1],
            "██████░░░░░░░░░░░░░░░░░░  in flight 4   running 3   waiting 1   KV cache 42%");
  ASSERT_GT(lines.size(), 9u);
  EXPECT_EQ(lines[3], "           tok/s/GPU by load");
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("●")));
}

TEST(SweepScreenTest, FitsNarrowTerminals) {
  for (const std::string& line : RenderSweepScreen(Running(), 24)) {
    EXPECT_EQ(line, FitColumns(line, 24));
  }
}

TEST(SparklineTest, ShowsTheLastValues) {
  EXPECT_EQ(Sparkline({9, 0, 1, 2}, 3), "▁▅█");
  EXPECT_EQ(Sparkline({0, 0}, 3), "▁▁");
  EXPECT_EQ(Sparkline({1, std::nan(""), 2}, 3), "▅ █");
}

TEST(ScreenRegionTest, RedrawsInPlace) {
  std::FILE* file = std::tmpfile();
  {
    ScreenRegion region(file);
    region.Draw({"a", "b"});
    region.Draw({"c"});
  }
  std::rewind(file);
  std::string text;
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  EXPECT_EQ(text, "a\nb\n\x1b[2A\r\x1b[Jc\n\x1b[1A\r\x1b[J");
}

}  // namespace
}  // namespace regatta
