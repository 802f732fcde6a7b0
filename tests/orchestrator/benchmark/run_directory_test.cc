// A run's files and progress lines.
#include "orchestrator/benchmark/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "orchestrator/commands/commands.h"
#include "orchestrator/report/report.h"
#include "orchestrator/terminal/progress_line.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class RunDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(root_); }
  void TearDown() override { fs::remove_all(root_); }
  const std::string root_ = ::testing::TempDir() + "run-directory-test";
};

TEST_F(RunDirectoryTest, NeverTheSameTwice) {
  const auto first = RunDirectory::Create(root_, "org/model", "tp2");
  const auto second = RunDirectory::Create(root_, "org/model", "tp2");
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE(first->path(), second->path());
  EXPECT_THAT(first->path(), HasSubstr("Z-org_model-tp2"));
  EXPECT_TRUE(fs::is_directory(second->path()));
}

TEST_F(RunDirectoryTest, OneWriterAtATime) {
  std::string path;
  {
    const auto first = RunDirectory::Create(root_, "m", "tp1");
    ASSERT_TRUE(first.ok()) << first.status();
    path = first->path();
    EXPECT_EQ(RunDirectory::Open(path).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(RunDirectory::Open(path).ok());
  EXPECT_EQ(RunDirectory::Open(path + "-none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RunDirectoryTest, RequestsAreCutBackToWhatIsKept) {
  const auto directory = RunDirectory::Create(root_, "m", "tp1");
  ASSERT_TRUE(directory.ok()) << directory.status();
  ASSERT_TRUE(directory->KeepRequests(0).ok());  // before there are any
  RequestRecord record;
  const auto one = directory->AppendRequests({record});
  const auto three = directory->AppendRequests({record, record});
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ(*three, 3 * *one);
  ASSERT_TRUE(directory->KeepRequests(*one).ok());
  EXPECT_EQ(fs::file_size(directory->path() + "/requests.jsonl"), *one);
  EXPECT_EQ(directory->KeepRequests(*one + 1).code(), absl::StatusCode::kDataLoss);
}

TEST_F(RunDirectoryTest, ResultsAreReadBackAndRequestsAppended) {
  const auto directory = RunDirectory::Create(root_, "m", "tp1");
  ASSERT_TRUE(directory.ok());
  SweepReport sweep;
  sweep.set_schema(kSweepSchema);
  sweep.set_command("regatta sweep");
  ASSERT_TRUE(directory->WriteResults(sweep).ok());
  sweep.add_points()->mutable_performance()->set_total_latency_ms(12.5);
  ASSERT_TRUE(directory->WriteResults(sweep).ok());
  const auto again = LoadResults(directory->path());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), sweep.SerializeAsString());
  RequestRecord record;
  record.set_index(3);
  ASSERT_TRUE(directory->AppendRequests({record}).ok());
  ASSERT_TRUE(directory->AppendRequests({record, record}).ok());
  const std::string lines = Contents(directory->path() + "/requests.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  EXPECT_THAT(lines, HasSubstr("{\"index\":3,"));
}

TEST_F(RunDirectoryTest, NamesKeepLettersOfAllAlphabets) {
  const auto name = [this](const std::string& model) {
    return fs::path(RunDirectory::Create(root_, model, "tp1")->path()).filename().string();
  };
  EXPECT_THAT(name("ünï cödé"), HasSubstr("-ünï_cödé-tp1"));
  EXPECT_THAT(name("a/ \x1b[b"), HasSubstr("-a_b-tp1"));
  EXPECT_THAT(name("bad\xff\xfe"), HasSubstr("-bad_-tp1"));
}

TEST_F(RunDirectoryTest, StoredNamesCannotSteerTheTerminal) {
  const auto directory = RunDirectory::Create(root_, "m", "tp1");
  SweepReport sweep;
  sweep.set_schema(kSweepSchema);
  sweep.add_points()->mutable_engine()->set_model("m\x1b[31m");
  ASSERT_TRUE(directory->WriteResults(sweep).ok());
  const auto read = LoadResults(directory->path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->points(0).engine().model(), "m\xef\xbf\xbd[31m");
}

TEST_F(RunDirectoryTest, FiguresThatAreNoFiniteNumbersAreRefusedByName) {
  fs::create_directories(root_);
  const auto refusal = [this](const std::string& field, const std::string& value) {
    std::ofstream(root_ + "/results.json")
        << "{\"schema\": \"regatta-sweep-1\", \"points\": [{}, {\"performance\": {\"" << field
        << "\": " << value << "}}]}";
    return std::string(LoadResults(root_).status().message());
  };
  const std::string field = "system_output_throughput_tok_s";
  for (const char* value : {"\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1.1e100"}) {
    EXPECT_THAT(refusal(field, value),
                AllOf(HasSubstr(root_ + "/results.json: points[1].performance." + field + " is "),
                      HasSubstr("must be a number of at most 1e+100")));
  }
  EXPECT_THAT(refusal(field, "\"NaN\""), HasSubstr("is nan"));
  EXPECT_EQ(refusal(field, "1e99"), "");
}

// A plan of `--request-rate inf` has an infinite one.
TEST_F(RunDirectoryTest, AnInfiniteRateThatWasPlannedIsReadBack) {
  const auto directory = RunDirectory::Create(root_, "m", "tp1");
  SweepReport sweep;
  sweep.set_schema(kSweepSchema);
  PlannedPoint& planned = *sweep.mutable_journal()->mutable_identity()->add_planned();
  planned.set_request_rate(std::numeric_limits<double>::infinity());
  ASSERT_TRUE(directory->WriteResults(sweep).ok());
  EXPECT_TRUE(LoadResults(directory->path()).ok()) << LoadResults(directory->path()).status();
}

TEST_F(RunDirectoryTest, ErrorsNameThePath) {
  EXPECT_THAT(std::string(RunDirectory::Create("/proc/nowhere", "m", "tp1").status().message()),
              HasSubstr("/proc/nowhere"));
  EXPECT_EQ(LoadResults(root_).status().code(), absl::StatusCode::kNotFound);
  fs::create_directories(root_);
  std::ofstream(root_ + "/results.json") << "{ not json";
  const absl::Status broken = LoadResults(root_).status();
  EXPECT_EQ(broken.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(broken.message()), HasSubstr("results.json"));
  std::ofstream(root_ + "/results.json") << "{\"points\": []}";
  EXPECT_THAT(std::string(LoadResults(root_).status().message()), HasSubstr("schema is ''"));
}

TEST(FormatProgressTest, SaysWhatIsDoneAndLeft) {
  LoadProgress progress;
  progress.total = 40;
  progress.completed = 9;
  progress.failed = 1;
  progress.in_flight = 4;
  progress.elapsed_s = 5;
  progress.tokens_per_s = 812.44;
  const std::string begun = "[2/5] concurrency 4: 10/40 done, 4 in flight, 812.4 tok/s";
  EXPECT_EQ(FormatProgress("[2/5] concurrency 4", progress, std::nullopt), begun + ", 1 failed");
  progress.ttft = {8, 20, 40.46};
  progress.tpot = {3, 5, 6.12};
  EXPECT_EQ(
      FormatProgress("[2/5] concurrency 4", progress, TimeLeft{15, TimeEstimate{60, 300}}),
      begun + ", TTFT p95 40.5 ms, TPOT p95 6.1 ms, 1 failed, ETA 15 s, whole run 60 s to 5 min");
}

TEST(ProgressLineTest, PlainLinesAreAtMostEveryTwoSeconds) {
  std::FILE* file = std::tmpfile();
  {
    ProgressLine line(file);
    LoadProgress progress;
    for (int i = 1; i <= 25; ++i) {
      progress.elapsed_s = 0.2 * i;
      line.Update("x", progress, std::nullopt);
    }
  }
  std::rewind(file);
  int lines = 0;
  for (int c; (c = std::fgetc(file)) != EOF;) lines += c == '\n';
  std::fclose(file);
  EXPECT_EQ(lines, 2);  // at 2 s and 4 s
}

TEST(CommandLineTest, IsQuotedForAShell) {
  const char* argv[] = {"regatta", "sweep", "--model", "my model", "--x=it's", ""};
  EXPECT_EQ(QuoteCommandLine(6, const_cast<char**>(argv)),
            "regatta sweep --model 'my model' '--x=it'\\''s' ''");
}

TEST(ExitCodeTest, InputErrorsAreTwoOthersOne) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("x")), 2);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("x")), 2);
  EXPECT_EQ(ExitCodeOf(absl::AbortedError("x")), 1);
  EXPECT_EQ(ExitCodeOf(absl::CancelledError("x")), 130);
}

}  // namespace
}  // namespace regatta
