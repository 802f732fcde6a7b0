// Prompts of a run: order, synthetic lengths, how requests end.
#include "orchestrator/benchmark/benchmark_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "orchestrator/benchmark/protocol.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

class BenchmarkInputTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<DatasetEntry> entries(50);
    for (int i = 0; i < 50; ++i) {
      entries[i].task_id = std::to_string(i);
      entries[i].input_ids = {1, 2};
      entries[i].output_tokens = i + 1;
    }
    ASSERT_TRUE(WriteDataset(entries, path_).ok());
    options_.dataset = path_;
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::vector<std::string> Order() {
    std::vector<std::string> ids;
    const auto dataset = LoadBenchmarkDataset(options_, 10);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    for (const DatasetEntry& entry : dataset->entries) ids.push_back(entry.task_id);
    return ids;
  }
  const std::string path_ = ::testing::TempDir() + "benchmark-input.jsonl";
  BenchmarkOptions options_;
};

TEST_F(BenchmarkInputTest, TheSeedDecidesTheOrderAndNothingIsLost) {
  const std::vector<std::string> first = Order();
  EXPECT_EQ(Order(), first);
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 50u);
  EXPECT_NE(first[0] + first[1] + first[2], "012");
  options_.random_seed = 7;
  EXPECT_NE(Order(), first);
}

TEST_F(BenchmarkInputTest, ATurnDelayNeedsTurns) {
  options_.load.turn_delay_mean_ms = 50;
  EXPECT_THAT(std::string(LoadBenchmarkDataset(options_, 10).status().message()),
              HasSubstr("--turn-delay-mean has no effect: the data set has no sessions"));
  DatasetEntry session;
  session.input_ids = {1, 2};
  session.output_tokens = 3;
  session.next_turns.push_back({"", {3, 4}, 5, std::nullopt});
  ASSERT_TRUE(WriteDataset({session}, path_).ok());
  EXPECT_TRUE(LoadBenchmarkDataset(options_, 1).ok());
}

TEST_F(BenchmarkInputTest, TrtllmBenchsProtocolKeepsTheFilesOrderAndSendsAllOfIt) {
  options_.protocol = kTrtllmBenchProtocol;
  const std::vector<std::string> order = Order();
  EXPECT_EQ(order[0] + order[1] + order[49], "0149");
  std::vector<LoadPoint> points = {{4, 40}, {8, 80}};
  ASSERT_TRUE(SetProtocolRequests(options_, points).ok());
  EXPECT_EQ(points[0].requests, 50u);
  EXPECT_EQ(points[1].requests, 50u);
  points = {{64, 640}};
  EXPECT_THAT(std::string(SetProtocolRequests(options_, points).message()),
              HasSubstr("--concurrency 64: --compat trtllm-bench sends the data set once, which "
                        "has 50 requests"));
  ApplyProtocol(options_);
  EXPECT_EQ(WarmupRequestsAt(options_, {4, 50}), 2u);
}

TEST_F(BenchmarkInputTest, MeansAreTheDataSetsUnlessGiven) {
  const auto dataset = LoadBenchmarkDataset(options_, 10);
  ASSERT_TRUE(dataset.ok());
  EXPECT_EQ(MeansOf(options_, *dataset).input, 2u);
  EXPECT_EQ(MeansOf(options_, *dataset).output, 26u);  // 25.5
  options_.target_output_len = 4;
  EXPECT_EQ(MeansOf(options_, *dataset).output, 4u);
}

TEST_F(BenchmarkInputTest, IdsOutsideTheVocabularyAreRefused) {
  options_.cluster.model = REGATTA_SOURCE_DIR "/tests/models/regatta-dense";
  EXPECT_TRUE(LoadBenchmarkDataset(options_, 10).ok());
  DatasetEntry entry;
  entry.task_id = "far";
  entry.input_ids = {1, 123456789};
  entry.output_tokens = 1;
  ASSERT_TRUE(WriteDataset({entry}, path_).ok());
  const absl::Status status = LoadBenchmarkDataset(options_, 10).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(":1: token id 123456789 is not below the "));
}

TEST_F(BenchmarkInputTest, OnlyAGivenTimeCutsAGivenCount) {
  EXPECT_EQ(MaxSecondsPerPoint(options_, /*performance_figure=*/false), 12);
  EXPECT_EQ(MaxSecondsPerPoint(options_, /*performance_figure=*/true), 0);
  options_.num_requests = 100;
  EXPECT_EQ(MaxSecondsPerPoint(options_, /*performance_figure=*/false), 0);
  options_.max_time_per_point_s = 5;
  EXPECT_EQ(MaxSecondsPerPoint(options_, /*performance_figure=*/false), 5);
}

TEST_F(BenchmarkInputTest, SyntheticPromptsWithoutADataSet) {
  options_.dataset.clear();
  EXPECT_THAT(std::string(LoadBenchmarkDataset(options_, 10).status().message()),
              HasSubstr("--dataset"));
  options_.cluster.model = REGATTA_SOURCE_DIR "/tests/models/regatta-dense";
  options_.target_output_len = 9;
  const auto dataset = LoadBenchmarkDataset(options_, 10);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ(dataset->entries.size(), 10u);
  EXPECT_EQ(dataset->entries[3].input_ids.size(), 128u);
  EXPECT_EQ(dataset->entries[3].output_tokens, 9u);
  EXPECT_TRUE(dataset->entries[3].synthetic);
}

TEST_F(BenchmarkInputTest, AnswersHonourEndTokensUnlessToldOtherwise) {
  Dataset dataset;
  dataset.entries.resize(1);
  EXPECT_FALSE(WorkloadOptionsOf(options_, dataset).honor_eos);
  dataset.entries[0].has_answer = true;
  EXPECT_TRUE(WorkloadOptionsOf(options_, dataset).honor_eos);
  options_.eos_id = -1;
  EXPECT_FALSE(WorkloadOptionsOf(options_, dataset).honor_eos);
  EXPECT_EQ(WorkloadOptionsOf(options_, dataset).eos_id, -1);
}

}  // namespace
}  // namespace regatta
