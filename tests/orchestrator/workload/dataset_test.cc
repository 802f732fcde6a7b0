// Data sets in and out: every kind of bad line is named, synthetic ones have the asked shape.
#include "orchestrator/workload/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include "orchestrator/workload/synthetic.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<Dataset> Parse(const std::string& text) {
  std::istringstream in(text);
  return ParseDataset(in, "d.jsonl");
}

TEST(ParseDatasetTest, ReadsEveryKindOfLine) {
  const auto dataset = Parse(
      "{\"task_id\": 7, \"prompt\": \"hello\", \"output_tokens\": 3, \"answer\": \"hi\"}\n"
      "\n"
      "{\"task_id\": \"b\", \"input_ids\": [1, 2], \"output_tokens\": 5, \"synthetic\": true}\n"
      "{\"logits\": [9], \"prompt\": \"unused\", \"output_tokens\": 1, \"lora_request\": null}");
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ(dataset->entries.size(), 3u);
  EXPECT_EQ(dataset->entries[0].task_id, "7");
  EXPECT_EQ(dataset->entries[0].prompt, "hello");
  EXPECT_EQ(dataset->entries[0].answer, "hi");
  EXPECT_TRUE(dataset->entries[0].has_answer);
  EXPECT_EQ(dataset->entries[1].task_id, "b");
  EXPECT_THAT(dataset->entries[1].input_ids, ElementsAre(1, 2));
  EXPECT_TRUE(dataset->entries[1].synthetic);
  EXPECT_EQ(dataset->entries[2].task_id, "4");  // its line
  EXPECT_THAT(dataset->entries[2].input_ids, ElementsAre(9));
  EXPECT_EQ(dataset->entries[2].prompt, "");
  EXPECT_TRUE(dataset->has_answers());
  EXPECT_DOUBLE_EQ(dataset->mean_output_length(), 3);
  EXPECT_DOUBLE_EQ(dataset->mean_input_length(), 1.5);
}

struct BadLine {
  const char* line;
  const char* message;
};

class BadLineTest : public ::testing::TestWithParam<BadLine> {};

TEST_P(BadLineTest, IsRefusedWithPathLineAndReason) {
  const std::string good = "{\"prompt\": \"x\", \"output_tokens\": 1}\n";
  const auto dataset = Parse(good + GetParam().line);
  ASSERT_FALSE(dataset.ok());
  EXPECT_THAT(std::string(dataset.status().message()), HasSubstr("d.jsonl:2: "));
  EXPECT_THAT(std::string(dataset.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadLineTest,
    ::testing::Values(
        BadLine{"{\"prompt\": ", "not valid JSON"},
        BadLine{"[1, 2]", "holds array, expected one JSON object a line"},
        BadLine{"{\"output_tokens\": 4}", "neither 'prompt' nor 'input_ids'"},
        BadLine{"{\"prompt\": 5, \"output_tokens\": 4}", "'prompt' is 5, expected a string"},
        BadLine{"{\"prompt\": \"\", \"output_tokens\": 4}", "expected some text"},
        BadLine{"{\"prompt\": \"x\"}", "'output_tokens' is null"},
        BadLine{"{\"prompt\": \"x\", \"output_tokens\": 0}", "'output_tokens' is 0, expected a"},
        BadLine{"{\"prompt\": \"x\", \"output_tokens\": -3}", "'output_tokens' is -3"},
        BadLine{"{\"prompt\": \"x\", \"output_tokens\": 1.5}", "'output_tokens' is 1.5"},
        BadLine{"{\"prompt\": \"x\", \"output_tokens\": 99999999999}", "in 1..16777216"},
        BadLine{"{\"input_ids\": [], \"output_tokens\": 1}", "a non-empty list"},
        BadLine{"{\"input_ids\": [1, -1], \"output_tokens\": 1}", "'input_ids' is -1"},
        BadLine{"{\"logits\": [1, \"a\"], \"output_tokens\": 1}", "'logits' is \"a\""},
        BadLine{"{\"input_ids\": [4294967296], \"output_tokens\": 1}", "in 0..2147483647"},
        BadLine{"{\"task_id\": [1], \"prompt\": \"x\", \"output_tokens\": 1}", "'task_id' is [1]"},
        BadLine{"{\"prompt\": \"x\", \"output_tokens\": 1, \"answer\": 4}", "'answer' is 4"},
        BadLine{"{\"turns\": [\"a\"]}", "'turns' is \"a\", expected JSON objects"},
        BadLine{"{\"turns\": []}", "'turns' is [], expected 1 to 10000 turns"},
        BadLine{"{\"turns\": [{\"prompt\": \"x\", \"output_tokens\": 1}, {\"input_ids\": [1], "
                "\"output_tokens\": 1}]}",
                "partly texts and partly token ids"},
        BadLine{"{\"turns\": [{\"prompt\": \"x\", \"output_tokens\": 1, \"delay_ms\": -1}]}",
                "'delay_ms' is -1, expected milliseconds in 0..1e+12"},
        BadLine{"{\"prompt\": \"x\", \"output_tokens\": 1, \"timestamp\": \"now\"}",
                "'timestamp' is \"now\""},
        BadLine{"{\"input_ids\": [1], \"output_tokens\": 1, \"prefix_tokens\": 2}",
                "'prefix_tokens' is 2, expected a part of input_ids"}));

TEST(ParseDatasetTest, SessionsAndTimestampsComeBackAsWritten) {
  const std::string lines =
      "{\"task_id\":1,\"timestamp\":12.5,\"turns\":[{\"prompt\":\"a\",\"output_tokens\":3},"
      "{\"prompt\":\"b\",\"output_tokens\":4,\"delay_ms\":20.0}]}\n"
      "{\"task_id\":2,\"input_ids\":[7,8,9],\"output_tokens\":5,\"synthetic\":true,"
      "\"prefix_tokens\":2}\n";
  const auto dataset = Parse(lines);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(dataset->has_sessions());
  const DatasetEntry& session = dataset->entries[0];
  EXPECT_EQ(session.prompt, "a");
  EXPECT_EQ(session.output_tokens, 3u);
  ASSERT_EQ(session.next_turns.size(), 1u);
  EXPECT_EQ(session.next_turns[0].prompt, "b");
  EXPECT_EQ(session.next_turns[0].output_tokens, 4u);
  EXPECT_EQ(session.next_turns[0].delay_ms, 20);
  EXPECT_EQ(session.timestamp_ms, 12.5);
  EXPECT_EQ(dataset->entries[1].prefix_tokens, 2u);
  EXPECT_EQ(FormatDatasetEntry(session) + FormatDatasetEntry(dataset->entries[1]), lines);
}

TEST(ParseDatasetTest, EmptyAndMissingFilesAreErrors) {
  EXPECT_THAT(std::string(Parse("\n \n").status().message()), HasSubstr("is empty"));
  const auto missing = LoadDataset("/nonexistent/data.jsonl");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nonexistent/data.jsonl"));
}

TEST(FormatDatasetEntryTest, WhatIsWrittenIsReadBack) {
  DatasetEntry entry;
  entry.task_id = "12";
  entry.prompt = "say \"\xc3\xa9\"\n";
  entry.output_tokens = 9;
  entry.answer = "\xc3\xa9";
  entry.has_answer = true;
  const auto dataset = Parse(FormatDatasetEntry(entry));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->entries[0].task_id, "12");
  EXPECT_EQ(dataset->entries[0].prompt, entry.prompt);
  EXPECT_EQ(dataset->entries[0].answer, entry.answer);
  EXPECT_EQ(FormatDatasetEntry(entry).substr(0, 14), "{\"task_id\":12,");
}

SyntheticOptions NormalOptions() {
  SyntheticOptions options;
  options.num_requests = 4000;
  options.input = {LengthDistribution::Kind::kNormal, 128, 20, 0, 0};
  options.output = {LengthDistribution::Kind::kNormal, 64, 10, 0, 0};
  return options;
}

double Correlation(const std::vector<DatasetEntry>& entries) {
  double n = entries.size(), x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  for (const DatasetEntry& entry : entries) {
    const double a = entry.input_ids.size(), b = entry.output_tokens;
    x += a, y += b, xx += a * a, yy += b * b, xy += a * b;
  }
  return (xy / n - x / n * y / n) / std::sqrt((xx / n - x / n * x / n) * (yy / n - y / n * y / n));
}

TEST(SyntheticTest, NormalLengthsHaveTheAskedShapeAndAreIndependent) {
  const auto entries = MakeSyntheticDataset(NormalOptions(), {3, 5, 8});
  ASSERT_TRUE(entries.ok()) << entries.status();
  double sum = 0, squares = 0;
  std::set<uint32_t> ids;
  for (const DatasetEntry& entry : *entries) {
    sum += entry.input_ids.size();
    squares += 1.0 * entry.input_ids.size() * entry.input_ids.size();
    ids.insert(entry.input_ids.begin(), entry.input_ids.end());
  }
  const double mean = sum / entries->size();
  EXPECT_NEAR(mean, 128.5, 1);  // rounded up
  EXPECT_NEAR(std::sqrt(squares / entries->size() - mean * mean), 20, 1);
  EXPECT_THAT(ids, ElementsAre(3, 5, 8));
  EXPECT_LT(std::abs(Correlation(*entries)), 0.06);
}

TEST(SyntheticTest, SeedDecidesEverything) {
  SyntheticOptions options = NormalOptions();
  options.num_requests = 10;
  const std::vector<uint32_t> vocabulary = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto first = MakeSyntheticDataset(options, vocabulary);
  const auto again = MakeSyntheticDataset(options, vocabulary);
  options.num_requests = 20;
  const auto longer = MakeSyntheticDataset(options, vocabulary);
  options.seed = 421;
  const auto other = MakeSyntheticDataset(options, vocabulary);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ((*first)[i].input_ids, (*again)[i].input_ids);
    EXPECT_EQ((*first)[i].input_ids, (*longer)[i].input_ids);
    EXPECT_NE((*first)[i].input_ids, (*other)[i].input_ids);
  }
}

TEST(SyntheticTest, UniformLengthsReachBothEnds) {
  SyntheticOptions options;
  options.num_requests = 500;
  options.input = {LengthDistribution::Kind::kUniform, 0, 0, 2, 5};
  options.output = {LengthDistribution::Kind::kUniform, 0, 0, 7, 7};
  const auto entries = MakeSyntheticDataset(options, {1});
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::set<size_t> lengths;
  for (const DatasetEntry& entry : *entries) {
    lengths.insert(entry.input_ids.size());
    EXPECT_EQ(entry.output_tokens, 7u);
  }
  EXPECT_THAT(lengths, ElementsAre(2, 3, 4, 5));
}

TEST(SyntheticTest, TaskIds) {
  SyntheticOptions options = NormalOptions();
  options.num_requests = 50;
  EXPECT_EQ(MakeSyntheticDataset(options, {1})->at(3).task_id, "3");
  options.task_id = 9;
  EXPECT_EQ(MakeSyntheticDataset(options, {1})->at(3).task_id, "9");
  options.random_task_id_min = 2;
  options.random_task_id_max = 3;
  std::set<std::string> ids;
  const auto entries = MakeSyntheticDataset(options, {1});
  for (const DatasetEntry& entry : *entries) ids.insert(entry.task_id);
  EXPECT_THAT(ids, ElementsAre("2", "3"));
}

TEST(SyntheticTest, BadOptionsAreNamed) {
  const auto message = [](const SyntheticOptions& options) {
    return std::string(MakeSyntheticDataset(options, {1}).status().message());
  };
  SyntheticOptions options = NormalOptions();
  options.num_requests = 0;
  EXPECT_THAT(message(options), HasSubstr("--num-requests is 0"));
  options = NormalOptions();
  options.input.mean = -4;
  EXPECT_THAT(message(options), HasSubstr("--input-mean is -4, must be in 1..16777216"));
  options = NormalOptions();
  options.output.stdev = -1;
  EXPECT_THAT(message(options), HasSubstr("--output-stdev is -1, must be in 0..16777216"));
  options = NormalOptions();
  options.output = {LengthDistribution::Kind::kUniform, 0, 0, 9, 4};
  EXPECT_THAT(message(options), HasSubstr("--output-max is 4, must be in 9.."));
  options = NormalOptions();
  options.random_task_id_min = 5;
  options.random_task_id_max = 1;
  EXPECT_THAT(message(options), HasSubstr("--rand-task-id is 5 1"));
  EXPECT_FALSE(MakeSyntheticDataset(NormalOptions(), {}).ok());
}

}  // namespace
}  // namespace regatta
