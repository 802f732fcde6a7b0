// Labels of points cover neither marks nor one another, in a terminal and in a picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/frontier_plot.h"
#include "orchestrator/report/svg_chart.h"
#include "orchestrator/terminal/braille_canvas.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// What is drawn of a canvas of three rows.
std::vector<std::string> Rows(const BrailleCanvas& canvas) {
  return {canvas.Row(0), canvas.Row(1), canvas.Row(2)};
}

TEST(TerminalLabel, IsRightOfItsMarkElseLeftAboveOrBelow) {
  BrailleCanvas right(12, 3);
  right.Mark(4, 4, "o");
  right.Label(4, 4, "abc");
  EXPECT_THAT(Rows(right), ElementsAre("            ", "  oabc      ", "            "));
  BrailleCanvas left(12, 3);
  left.Mark(22, 4, "o");
  left.Label(22, 4, "abc");
  EXPECT_THAT(Rows(left), ElementsAre("            ", "        abco", "            "));
  BrailleCanvas above(12, 3);
  for (const int x : {6, 10, 14}) above.Mark(x, 4, "o");
  above.Label(10, 4, "abc");
  EXPECT_THAT(Rows(above), ElementsAre("    abc     ", "   o o o    ", "            "));
  above.Label(6, 4, "xy");  // "xyo" is free on the left
  above.Label(14, 4, "z");
  EXPECT_THAT(Rows(above), ElementsAre("    abc     ", " xyo o oz   ", "            "));
  BrailleCanvas below(12, 3);
  for (const int x : {6, 10, 14}) below.Mark(x, 0, "o");
  below.Label(10, 0, "abc");
  EXPECT_THAT(Rows(below), ElementsAre("   o o o    ", "    abc     ", "            "));
}

TEST(TerminalLabel, WithoutRoomIsLeftOut) {
  BrailleCanvas canvas(5, 1);
  canvas.Mark(2, 0, "o");
  canvas.Mark(8, 0, "o");
  canvas.Label(2, 0, "ab");  // would touch the other mark
  EXPECT_EQ(canvas.Row(0), " o  o");
  canvas.Label(8, 0, "a");
  EXPECT_EQ(canvas.Row(0), " o ao") << "which is nobody's in between";
  canvas.Label(2, 0, "b");
  EXPECT_EQ(canvas.Row(0), "bo ao");
}

TEST(TerminalPlot, CrowdedLabelsAreWholeOrNotThere) {
  PlotLine line;
  for (int i = 0; i < 24; ++i) {
    line.push_back({100 - i * 0.7, 50 + i * 0.5, absl::StrCat("c=", i + 1), i % 2 == 0});
  }
  const std::string plot =
      absl::StrJoin(RenderFrontierPlot({line}, /*width=*/60, /*rows=*/14, /*color=*/false), "\n");
  static const std::regex kLabel("c=[0-9]+");
  const int labels = std::distance(std::sregex_iterator(plot.begin(), plot.end(), kLabel), {});
  EXPECT_GT(labels, 3);
  EXPECT_EQ(std::count(plot.begin(), plot.end(), '='), labels);
  EXPECT_EQ(std::count(plot.begin(), plot.end(), 'c'), labels);
}

Chart Points(std::vector<ChartPoint> first, std::vector<ChartPoint> second) {
  return {.x_max = 100,
          .y_max = 100,
          .series = {{.name = "a", .points = std::move(first)},
                     {.name = "b", .points = std::move(second), .color = 1}}};
}

TEST(SvgLabel, MovesAwayFromAnotherSeriesMark) {
  const std::string alone = RenderSvg(Points({{.x = 50, .y = 50, .label = "c=4"}}, {}));
  EXPECT_THAT(alone, HasSubstr("class=\"mark\" text-anchor=\"start\">c=4<"));
  const std::string covered =
      RenderSvg(Points({{.x = 50, .y = 50, .label = "c=4"}}, {{.x = 52.5, .y = 53.5}}));
  EXPECT_THAT(covered, HasSubstr("class=\"mark\" text-anchor=\"end\">c=4<"));
}

TEST(SvgLabel, StaysWithinThePlot) {
  EXPECT_THAT(RenderSvg(Points({{.x = 50, .y = 100, .label = "c=4"}}, {})),
              HasSubstr("class=\"mark\" text-anchor=\"end\">c=4<"))
      << "right of it is above the top";
}

TEST(SvgLabel, WithoutRoomIsLeftOut) {
  std::vector<ChartPoint> around;
  for (const double dx : {-5.0, -2.5, 0.0, 2.5, 5.0}) {
    for (const double dy : {-5.0, -2.5, 2.5, 5.0}) around.push_back({.x = 50 + dx, .y = 50 + dy});
  }
  EXPECT_THAT(RenderSvg(Points({{.x = 50, .y = 50, .label = "c=4"}}, around)),
              Not(HasSubstr("c=4<")));
}

}  // namespace
}  // namespace regatta
