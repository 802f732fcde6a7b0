// Client, router and GPUs of a point over one axis of time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/report/chart_json.h"
#include "orchestrator/report/sweep_charts.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ReportedRun RunWithGpus() {
  ReportedRun run;
  PointReport& point = *run.sweep.add_points();
  point.mutable_regatta()->set_concurrency(8);
  PointTimeline& timeline = run.details.points.emplace_back().timeline;
  for (double ms : {0, 500, 1000}) timeline.add_client_ms(ms);
  for (uint32_t requests : {8, 8, 7}) timeline.add_in_flight(requests);
  for (double ms : {100, 1200}) timeline.add_router_ms(ms);
  for (double usage : {0.25, 0.5}) timeline.add_kv_usage(usage);
  for (uint32_t index : {2, 5}) {
    GpuTimeline& gpu = *timeline.add_gpus();
    gpu.set_index(index);
    for (double ms : {400, 1400}) gpu.add_ms(ms);
    for (double watts : {500, 600}) gpu.add_power_w(watts);
    for (double part : {0.5, 1.0}) gpu.add_utilization(part);
  }
  return run;
}

const Chart& Titled(const PointCourse& course, const std::string& title) {
  static const Chart none;
  for (const Chart& chart : course.charts) {
    if (chart.title == title) return chart;
  }
  ADD_FAILURE() << "no chart " << title;
  return none;
}

TEST(PointCoursesTest, EachGpuIsALineOfItsChart) {
  const ReportedRun run = RunWithGpus();
  const std::vector<PointCourse> courses = PointCourses({&run, 1});
  ASSERT_EQ(courses.size(), 1u);
  const Chart& power = Titled(courses[0], "GPU power");
  ASSERT_EQ(power.series.size(), 2u);
  EXPECT_EQ(power.series[0].name, "GPU 2");
  EXPECT_EQ(power.series[1].name, "GPU 5");
  EXPECT_NE(power.series[0].color, power.series[1].color);
  ASSERT_EQ(power.series[0].points.size(), 2u);
  EXPECT_DOUBLE_EQ(power.series[0].points[1].x, 1.4);
  EXPECT_DOUBLE_EQ(power.series[0].points[1].y, 600);
  EXPECT_DOUBLE_EQ(Titled(courses[0], "GPU utilisation").series[0].points[0].y, 50);
  EXPECT_FALSE(HasPoints(Titled(courses[0], "SM clock"))) << "not told";
}

TEST(PointCoursesTest, AllChartsOfAPointHaveOneAxis) {
  const ReportedRun run = RunWithGpus();
  const std::vector<PointCourse> courses = PointCourses({&run, 1});
  for (const Chart& chart : courses[0].charts) {
    EXPECT_DOUBLE_EQ(chart.x_max, 1.4) << chart.title << ": to the last sample of any";
    EXPECT_THAT(ChartJson(chart), HasSubstr("\"x_max\":1.4,"));
  }
}

TEST(PointCoursesTest, AShortPointsOnlyRateIsMarked) {
  ReportedRun run = RunWithGpus();
  PointTimeline& timeline = run.details.points[0].timeline;
  timeline.clear_client_ms();
  for (double ms : {0, 400}) timeline.add_client_ms(ms);
  for (double tokens : {0, 100}) timeline.add_client_tokens(tokens);
  const std::vector<PointCourse> courses = PointCourses({&run, 1});
  const Chart& tokens = Titled(courses[0], "Output tokens");
  ASSERT_EQ(tokens.series.size(), 1u);
  EXPECT_EQ(tokens.series[0].points.size(), 1u);
  EXPECT_TRUE(tokens.series[0].marks) << "a line of one point is none";
  EXPECT_FALSE(Titled(courses[0], "Requests").series[0].marks);
}

TEST(PointCoursesTest, WithoutGpusThereAreNoChartsOfThem) {
  ReportedRun run = RunWithGpus();
  run.details.points[0].timeline.clear_gpus();
  const std::vector<PointCourse> courses = PointCourses({&run, 1});
  for (const Chart& chart : courses[0].charts) {
    EXPECT_FALSE(chart.title.find("GPU") != std::string::npos && HasPoints(chart)) << chart.title;
  }
}

}  // namespace
}  // namespace regatta
