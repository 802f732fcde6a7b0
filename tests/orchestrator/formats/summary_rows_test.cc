// summary.csv and summary.md: what is written is read again, and hostile tables are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/headline_latency.h"
#include "tests/orchestrator/formats/small_run.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Summary : public ::testing::TestWithParam<const char*> {
 protected:
  // A table of this format; the first row names the columns.
  std::string Table(const std::vector<std::vector<std::string>>& rows) const {
    const bool markdown = GetParam() == std::string("markdown");
    std::string text;
    for (const auto& cells : rows) {
      absl::StrAppend(&text, markdown ? "| " : "", absl::StrJoin(cells, markdown ? " | " : ","),
                      markdown ? " |" : "", "\n");
      if (markdown && text.find("---") == std::string::npos) absl::StrAppend(&text, "|---:|\n");
    }
    return text;
  }
  absl::StatusOr<std::vector<StoredRun>> Import(const std::string& text) const {
    return ImportFiles({{"s", text}}, {});
  }
};

TEST_P(Summary, FiguresSurviveToTheLastDigit) {
  const StoredRun run = SmallRun(/*cancelled=*/21);
  const auto runs = ImportFiles(Exported(run, GetParam()), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1u);
  const SweepReport& sweep = runs->front().sweep;
  EXPECT_EQ(sweep.imported().format(), GetParam());
  EXPECT_EQ(RenderCsv(sweep), RenderCsv(run.sweep));
  EXPECT_EQ(sweep.points(0).world_info().world_size(), 2u);
  EXPECT_EQ(sweep.points(0).regatta().issued_requests(), 40u);
}

TEST_P(Summary, WhatUsersWaitedAndTheClientsVerdictSurvive) {
  for (const char* arrival : {"poisson", "trace"}) {
    StoredRun run = SmallRun(/*cancelled=*/21);
    RegattaInfo& info = *run.sweep.mutable_points(0)->mutable_regatta();
    info.mutable_load()->set_arrival(arrival);
    if (arrival == std::string("poisson")) info.mutable_load()->set_request_rate(40);
    info.mutable_ttft_scheduled_ms()->set_p95(163);
    info.mutable_client()->set_bound(true);
    const auto runs = ImportFiles(Exported(run, GetParam()), {});
    ASSERT_TRUE(runs.ok()) << runs.status();
    const PointReport& point = runs->front().sweep.points(0);
    EXPECT_EQ(HeadlineTtft(point).p95(), 163);
    EXPECT_LT(point.streaming_metrics().ttft_percentiles().p95(), 17);
    EXPECT_TRUE(point.regatta().client().bound());
    EXPECT_EQ(RenderCsv(runs->front().sweep), RenderCsv(run.sweep));
    EXPECT_THAT(RenderTerminalReport(point), Not(HasSubstr("MEASUREMENT DETAILS")));
  }
}

TEST_P(Summary, NamesMayHoldWhatSeparatesCells) {
  StoredRun run = SmallRun();
  PointReport& point = *run.sweep.mutable_points(0);
  point.mutable_machine()->set_name("GPU \"X\", 80 GB | a\\|b");
  point.mutable_engine()->set_model("7");
  const auto runs = ImportFiles(Exported(run, GetParam()), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->front().sweep.points(0).machine().name(), point.machine().name());
  EXPECT_EQ(runs->front().sweep.points(0).engine().model(), "7");
}

TEST_P(Summary, TablesOfOlderRunsHaveFewerColumns) {
  const auto runs = Import(Table({{"concurrency", "num_requests", "failed_requests",
                                   "output_throughput_tok_s", "output_throughput_per_gpu_tok_s"},
                                  {"4", "40", "0", "100", "50"}}));
  ASSERT_TRUE(runs.ok()) << runs.status();
  const RegattaInfo& info = runs->front().sweep.points(0).regatta();
  EXPECT_EQ(info.cancelled_requests(), 0u);
  EXPECT_EQ(info.issued_requests(), 40u);
  EXPECT_FALSE(info.has_client());
  EXPECT_FALSE(IsFromDue(runs->front().sweep.points(0)));
}

TEST_P(Summary, HalfAScheduleIsRefused) {
  const auto import = [&](const char* ttft, const char* latency) {
    return Import(Table({{"concurrency", "output_throughput_tok_s", "request_rate_req_s",
                          "ttft_p95_ms", "ttft_scheduled_p95_ms", "latency_scheduled_p50_ms"},
                         {"4", "100", "20", "6", ttft, latency}}));
  };
  EXPECT_THAT(Message(import("163", "")), HasSubstr("'latency_scheduled_p50_ms' is null, must be"));
  EXPECT_THAT(Message(import("", "177")), HasSubstr("'ttft_scheduled_p50_ms' is null, must be"));
  const auto runs = import("163", "177");
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_TRUE(IsFromDue(runs->front().sweep.points(0)));
  EXPECT_EQ(HeadlineTtft(runs->front().sweep.points(0)).p95(), 163);
  EXPECT_EQ(runs->front().sweep.points(0).regatta().layout(), "");
}

TEST_P(Summary, LoadsThatContradictThemselvesAreRefused) {
  const auto refusal = [&](const char* arrival, const char* rate, const char* due) {
    return Message(Import(Table({{"concurrency", "output_throughput_tok_s", "arrival",
                                  "request_rate_req_s", "latency_scheduled_p50_ms"},
                                 {"4", "100", arrival, rate, due}})));
  };
  const std::string line = GetParam() == std::string("csv") ? "s:2" : "s:3";
  EXPECT_THAT(refusal("burst", "20", ""),
              HasSubstr(line + ": 'arrival' is \"burst\", must be constant, poisson or gamma "
                               "beside a rate of 20"));
  EXPECT_THAT(refusal("trace", "20", "9"), HasSubstr("beside a rate of 20"));
  EXPECT_THAT(refusal("gamma", "0", ""), HasSubstr("as there is no rate"));
  EXPECT_THAT(refusal("closed-loop", "0", "9"), HasSubstr("there are latencies from when due"));
  EXPECT_EQ(refusal("trace", "0", "9"), "");
}

TEST_P(Summary, AnArrivalThatIsNoneOfOursIsNotWritten) {
  StoredRun run = SmallRun();
  run.sweep.mutable_points(0)->mutable_regatta()->mutable_load()->set_arrival("| by hand");
  const std::vector<TextFile> files = Exported(run, GetParam());
  EXPECT_THAT(files[0].text, Not(HasSubstr("by hand")));
  EXPECT_TRUE(ImportFiles(files, {}).ok());
}

TEST_P(Summary, HostileTablesAreRefused) {
  const std::vector<std::string> columns = {"concurrency", "output_throughput_tok_s",
                                            "output_throughput_per_gpu_tok_s", "device"};
  const auto refusal = [&](const std::vector<std::string>& row) {
    return Message(Import(Table({columns, row})));
  };
  EXPECT_THAT(refusal({"1", "5"}), HasSubstr(": has 2 cells, the table has 4 columns"));
  EXPECT_THAT(refusal({"1", "5", "5", "x", "y"}), HasSubstr(": has 5 cells, the table has 4"));
  EXPECT_THAT(refusal({"1", "5", "5", "\xff"}), HasSubstr(": is not UTF-8"));
  EXPECT_THAT(refusal({"1", "nan", "5", "x"}), HasSubstr("'output_throughput_tok_s'"));
  EXPECT_THAT(refusal({"1", "-5", "5", "x"}), HasSubstr("is -5.0, must be a number in 0.."));
  EXPECT_THAT(refusal({"one", "5", "5", "x"}),
              HasSubstr("'concurrency' is \"one\", must be a whole"));
  EXPECT_THAT(refusal({"1", "5", "5", std::string(5000, 'x')}), HasSubstr("at most 4096 bytes"));
}

TEST_P(Summary, SizesAreBounded) {
  const std::vector<std::string> columns = {"concurrency", "output_throughput_tok_s",
                                            "output_throughput_per_gpu_tok_s"};
  const auto many = Import(Table({columns, {"1", "5e18", "1e-300"}}));
  ASSERT_TRUE(many.ok()) << many.status();
  EXPECT_EQ(many->front().sweep.points(0).world_info().world_size(), 65536u);
  std::vector<std::string> wide(1000, "x");
  wide[0] = "concurrency";
  EXPECT_THAT(Message(Import(Table({wide, wide}))), HasSubstr("s:1: has more than 100 columns"));
  std::vector<std::vector<std::string>> rows(10'002, {"1", "5", "5"});
  rows[0] = columns;
  EXPECT_THAT(Message(Import(Table(rows))), HasSubstr("is one row too many, there may be 10000"));
}

INSTANTIATE_TEST_SUITE_P(Formats, Summary, ::testing::Values("csv", "markdown"));

TEST(Markdown, TextMayStandAroundTables) {
  const std::string head =
      "| concurrency | output_throughput_tok_s | output_throughput_per_gpu_tok_s "
      "|\n|--:|--:|--:|\n";
  const std::string text =
      absl::StrCat("# Ours\n| other | table |\n|---|---|\n| 1 | 2 |\n\n", head,
                   "| 1 | 10 | 10 |\n| 2 | 18 | 18 |\n\nand then\r\n", head, "| 4 | 30 | 30 |\r\n");
  const auto runs = ImportFiles({{"s.md", text}}, {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->front().sweep.points_size(), 3);
  EXPECT_EQ(runs->front().sweep.points(2).performance().system_output_throughput_tok_s(), 30);
}

TEST(Markdown, ATextWithoutOurTableIsInNoKnownFormat) {
  EXPECT_THAT(Message(ImportFiles({{"s.md", "# Notes\n| a | b |\n|---|---|\n"}}, {})),
              HasSubstr("s.md: is in no known format; known are:\n  vllm"));
}

}  // namespace
}  // namespace regatta
