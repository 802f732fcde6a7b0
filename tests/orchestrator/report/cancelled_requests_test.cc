// Requests that were cancelled on purpose are counted wherever figures are shown, where there are
// any.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/report/html_page.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

SweepReport TwoPoints(uint32_t cancelled) {
  SweepReport sweep;
  sweep.set_completed(true);
  for (uint32_t concurrency : {1, 2}) {
    PointReport& point = *sweep.add_points();
    point.mutable_request_info()->set_num_requests(40);
    point.mutable_performance()->set_output_throughput_per_gpu_tok_s(100 * concurrency);
    point.mutable_regatta()->set_concurrency(concurrency);
    point.mutable_regatta()->set_user_speed_tok_s(100 - concurrency);
    point.mutable_regatta()->set_issued_requests(40);
  }
  sweep.mutable_points(1)->mutable_regatta()->set_cancelled_requests(cancelled);
  return sweep;
}

std::string Page(const SweepReport& sweep) {
  ReportedRun run;
  run.sweep = sweep;
  return RenderHtml({&run, 1});
}

TEST(CancelledRequests, AreAColumnOfTheOverview) {
  const std::string text = RenderSweepOverview(TwoPoints(7), /*color=*/false, /*width=*/100);
  EXPECT_THAT(text, HasSubstr(" failed cancelled\n"));
  EXPECT_THAT(text, ContainsRegex("c=1 .* 0         0\n"));
  EXPECT_THAT(text, ContainsRegex("c=2 .* 0         7  [*]\n"));
  EXPECT_THAT(RenderSweepOverview(TwoPoints(0), false, 100), Not(HasSubstr("cancelled")));
}

TEST(CancelledRequests, AreSaidOfAPoint) {
  const SweepReport sweep = TwoPoints(7);
  EXPECT_THAT(RenderTerminalReport(sweep.points(1)),
              HasSubstr("! requests cancelled on purpose: 7\n"));
  EXPECT_THAT(RenderTerminalReport(sweep.points(0)), Not(HasSubstr("cancelled")));
  EXPECT_THAT(RenderPointLines(sweep.points(1)), HasSubstr("40 requests, 7 cancelled\n"));
  EXPECT_THAT(RenderPointLines(sweep.points(0)), Not(HasSubstr("cancelled")));
}

TEST(CancelledRequests, AreAlwaysAColumnOfFiles) {
  EXPECT_THAT(RenderCsv(TwoPoints(7)), HasSubstr("\n2,40,0,7,"));
  EXPECT_THAT(RenderCsv(TwoPoints(0)), HasSubstr("\n2,40,0,0,"));
  EXPECT_THAT(RenderMarkdown(TwoPoints(7)), HasSubstr("\n| 2 | 40 | 0 | 7 |"));
}

TEST(CancelledRequests, AreAColumnOfThePage) {
  EXPECT_THAT(Page(TwoPoints(7)), HasSubstr("<th>Failed</th><th>Cancelled</th></tr>"));
  EXPECT_THAT(Page(TwoPoints(7)), HasSubstr("<td>0</td><td>7</td></tr>"));
  EXPECT_THAT(Page(TwoPoints(0)), Not(HasSubstr("<th>Cancelled</th>")));
}

}  // namespace
}  // namespace regatta
