// Traces, ShareGPT files, shared prefixes, range ratios and salts.
#include "orchestrator/workload/trace_formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <sstream>

#include "common/text/tokenizer.h"
#include "orchestrator/workload/sharegpt.h"
#include "orchestrator/workload/synthetic.h"
#include "orchestrator/workload/workload.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<uint32_t> Vocabulary() {
  std::vector<uint32_t> ids(1000);
  std::iota(ids.begin(), ids.end(), 100);
  return ids;
}

absl::StatusOr<Trace> Read(const std::string& text, TraceOptions options) {
  std::istringstream in(text);
  return ReadTrace(in, "t", options, Vocabulary());
}

TraceOptions Format(TraceFormat format) {
  TraceOptions options;
  options.format = format;
  return options;
}

std::vector<uint32_t> Slice(const std::vector<uint32_t>& ids, size_t from, size_t to) {
  return {ids.begin() + from, ids.begin() + to};
}

std::vector<uint32_t> IdsOf(const PlannedRequest& planned) {
  const auto& ids = planned.request.token_ids().ids();
  return {ids.begin(), ids.end()};
}

TEST(TraceFormatsTest, MooncakeSharesBlocksOf512Tokens) {
  const auto trace = Read(
      "{\"timestamp\": 1000, \"input_length\": 1100, \"output_length\": 5, \"hash_ids\": [7, 8, "
      "9]}\n"
      "{\"timestamp\": 1500, \"input_length\": 1024, \"output_length\": 6, \"hash_ids\": [7, 10]}\n"
      "{\"timestamp\": 1500, \"input_length\": 600, \"output_length\": 6, \"hash_ids\": [7]}\n",
      Format(TraceFormat::kMooncake));
  ASSERT_TRUE(trace.ok()) << trace.status();
  const std::vector<DatasetEntry>& entries = trace->entries;
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].timestamp_ms, 0);
  EXPECT_EQ(entries[1].timestamp_ms, 500);
  EXPECT_EQ(entries[0].input_ids.size(), 1100u);
  EXPECT_EQ(entries[1].input_ids.size(), 1024u);
  EXPECT_EQ(entries[2].input_ids.size(), 600u);
  EXPECT_EQ(entries[1].output_tokens, 6u);
  EXPECT_EQ(Slice(entries[0].input_ids, 0, 512), Slice(entries[1].input_ids, 0, 512));
  EXPECT_EQ(Slice(entries[0].input_ids, 0, 512), Slice(entries[2].input_ids, 0, 512));
  EXPECT_NE(Slice(entries[0].input_ids, 512, 1024), Slice(entries[1].input_ids, 512, 1024));
}

TEST(TraceFormatsTest, AzureTimesAreReadToTheirFraction) {
  const auto trace = Read(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109\r\n"
      "2023-11-16 18:15:51.0000000,396,0\r\n",
      Format(TraceFormat::kAzure));
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->entries.size(), 2u);
  EXPECT_EQ(trace->left_out, 1u);
  EXPECT_NEAR(*trace->entries[1].timestamp_ms, 4314.579, 0.002);
  EXPECT_EQ(trace->entries[0].input_ids.size(), 374u);
  EXPECT_EQ(trace->entries[1].output_tokens, 109u);
  EXPECT_NE(Slice(trace->entries[0].input_ids, 0, 300), Slice(trace->entries[1].input_ids, 0, 300));
  const auto later =
      Read("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n",
           Format(TraceFormat::kAzure));
  EXPECT_TRUE(later.ok()) << later.status();
}

TEST(TraceFormatsTest, BurstGptColumnsAreFoundByName) {
  TraceOptions options = Format(TraceFormat::kBurstGpt);
  options.max_input_tokens = 900;
  const auto trace = Read(
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,18,490,Conversation log\n45.5,ChatGPT,1087,230,1317,Conversation log\n"
      "118,GPT-4,417,276,693,Conversation log\n",
      options);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->entries.size(), 2u);
  EXPECT_EQ(trace->left_out, 1u);
  EXPECT_EQ(trace->entries[1].timestamp_ms, 113'000);
  EXPECT_EQ(trace->entries[1].output_tokens, 276u);
  options.num_requests = 1;
  EXPECT_EQ(
      Read("Timestamp,Request tokens,Response tokens\n1,2,3\n2,3,4\n", options)->entries.size(),
      1u);
}

TEST(TraceFormatsTest, ErrorsNamePathLineAndValue) {
  const auto message = [](const std::string& text, TraceFormat format) {
    return std::string(Read(text, Format(format)).status().message());
  };
  EXPECT_THAT(message("x\n", TraceFormat::kMooncake), HasSubstr("t:1: not valid JSON"));
  EXPECT_THAT(message("{\"timestamp\": 1, \"input_length\": -4, \"output_length\": 1}\n",
                      TraceFormat::kMooncake),
              HasSubstr("t:1: 'input_length' is '-4'"));
  EXPECT_THAT(message("{\"timestamp\": 1, \"input_length\": 512, \"output_length\": 1, "
                      "\"hash_ids\": [1, 2]}\n",
                      TraceFormat::kMooncake),
              HasSubstr("2 hash_ids are more than input_length 512"));
  EXPECT_THAT(message("a,b\n", TraceFormat::kAzure), HasSubstr("no column 'TIMESTAMP'"));
  EXPECT_THAT(message("TIMESTAMP,ContextTokens,GeneratedTokens\nnow,1,1\n", TraceFormat::kAzure),
              HasSubstr("t:2: 'TIMESTAMP' is 'now'"));
  EXPECT_THAT(message("Timestamp,Request tokens,Response tokens\n1,2\n", TraceFormat::kBurstGpt),
              HasSubstr("t:2: only 2 columns"));
  EXPECT_THAT(message("", TraceFormat::kBurstGpt), HasSubstr("t: no request"));
  EXPECT_THAT(std::string(ParseTraceFormat("weka").status().message()),
              HasSubstr("--format is 'weka'"));
}

TEST(ShareGptTest, PromptsOrWholeSessions) {
  const auto tokenizer = Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/models/regatta-dense");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::string file = R"([
    {"id": "a", "conversations": [{"from": "human", "value": "What is a regatta, please tell me?"},
      {"from": "gpt", "value": "A series of boat races, held on a river or on the sea."},
      {"from": "human", "value": "Who takes part?"}, {"from": "gpt", "value": "Rowers."}]},
    {"id": "b", "conversations": [{"from": "gpt", "value": "An answer without its question."}]},
    {"id": "c", "conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]}])";
  for (bool multi_turn : {false, true}) {
    std::istringstream in(file);
    ShareGptOptions options;
    options.multi_turn = multi_turn;
    const auto entries = ReadShareGpt(in, "s", options, **tokenizer);
    ASSERT_TRUE(entries.ok()) << entries.status();
    ASSERT_EQ(entries->size(), 1u);  // b has no answer, c is too short
    const DatasetEntry& entry = entries->front();
    EXPECT_EQ(entry.task_id, "a");
    EXPECT_EQ(entry.prompt, "What is a regatta, please tell me?");
    EXPECT_EQ(entry.output_tokens,
              (*tokenizer)
                  ->Encode("A series of boat races, held on a river or on the sea.", false)
                  .size());
    ASSERT_EQ(entry.next_turns.size(), multi_turn ? 1u : 0u);
    if (multi_turn) {
      EXPECT_EQ(entry.next_turns[0].prompt, "Who takes part?");
    }
  }
  std::istringstream bad("{}");
  EXPECT_THAT(std::string(ReadShareGpt(bad, "s", {}, **tokenizer).status().message()),
              HasSubstr("s: not a JSON list"));
}

// What vLLM takes: the first two messages of whatever has two, whoever they are from.
TEST(ShareGptTest, EntriesWithoutTwoMessagesAreLeftOutAndNothingElse) {
  const auto tokenizer = Tokenizer::Load(REGATTA_SOURCE_DIR "/tests/models/regatta-dense");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::string file = R"([
    {"id": "none"}, 7, {"id": "odd", "conversations": "text"},
    {"id": "lone", "conversations": [{"from": "human", "value": "Is anybody here to answer this?"}]},
    {"id": "gpt", "conversations": [{"from": "gpt", "value": "Welcome to the harbour office."},
      {"from": "human", "value": "When does the next race begin?"}, {"from": "gpt", "value": "At noon."}]}])";
  const auto read = [&](const ShareGptOptions& options) {
    std::istringstream in(file);
    return ReadShareGpt(in, "s", options, **tokenizer);
  };
  auto entries = read({});
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().prompt, "Welcome to the harbour office.");
  // A session begins with its human.
  entries = read({.multi_turn = true});
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(entries->front().prompt, "When does the next race begin?");
  // An asked output may be shorter than a typical answer.
  entries = read({.output_tokens = 2});
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(entries->front().output_tokens, 2u);
}

SyntheticOptions Synthetic(uint32_t requests) {
  SyntheticOptions options;
  options.num_requests = requests;
  options.input.mean = 20;
  options.output.mean = 5;
  return options;
}

TEST(SharedPrefixTest, PromptsShareTheAskedNumberOfPrefixes) {
  SyntheticOptions options = Synthetic(200);
  options.num_prefix_prompts = 3;
  options.prefix_length = 16;
  Dataset dataset;
  dataset.entries = *MakeSyntheticDataset(options, Vocabulary());
  std::set<std::vector<uint32_t>> prefixes, rests;
  for (const DatasetEntry& entry : dataset.entries) {
    ASSERT_EQ(entry.input_ids.size(), 36u);
    EXPECT_EQ(entry.prefix_tokens, 16u);
    prefixes.insert(Slice(entry.input_ids, 0, 16));
    rests.insert(Slice(entry.input_ids, 16, 36));
  }
  EXPECT_EQ(prefixes.size(), 3u);
  EXPECT_EQ(rests.size(), 200u);
  // Without prefixes the rest is the same: draws are independent.
  EXPECT_EQ(MakeSyntheticDataset(Synthetic(1), Vocabulary())->front().input_ids,
            Slice(dataset.entries[0].input_ids, 16, 36));
  // Past the end of the data set prompts vary, but for what they share.
  const Batch batch = Workload(dataset, {}).Deal(400);
  const std::vector<uint32_t> ids = IdsOf(batch.At(200));
  EXPECT_EQ(Slice(ids, 0, 16), Slice(dataset.entries[0].input_ids, 0, 16));
  EXPECT_NE(Slice(ids, 16, 36), Slice(dataset.entries[0].input_ids, 16, 36));
  options.prefix_length = 0;
  EXPECT_THAT(std::string(MakeSyntheticDataset(options, Vocabulary()).status().message()),
              HasSubstr("both must be given"));
}

TEST(RangeTest, BothMeanings) {
  const auto vllm = RangeOf(1000, 0.2, RangeMeaning::kVllm);
  EXPECT_EQ(vllm->minimum, 800u);
  EXPECT_EQ(vllm->maximum, 1200u);
  const auto inferencemax = RangeOf(1000, 0.8, RangeMeaning::kInferenceMax);
  EXPECT_EQ(inferencemax->minimum, 800u);
  EXPECT_EQ(inferencemax->maximum, 1000u);
  EXPECT_EQ(RangeOf(10, 1, RangeMeaning::kVllm)->minimum, 1u);
  EXPECT_THAT(std::string(RangeOf(10, 1.5, RangeMeaning::kVllm).status().message()),
              HasSubstr("--range-ratio is 1.5"));
}

TEST(CacheSaltTest, PointsBeginDifferentlyAndAgreeWithinThemselves) {
  Dataset dataset;
  dataset.entries = *MakeSyntheticDataset(Synthetic(50), Vocabulary());
  WorkloadOptions options;
  options.cache_salt = 5;
  Workload workload(dataset, options);
  std::set<std::vector<uint32_t>> salts;
  for (int point = 0; point < 3; ++point) {
    workload.Seek(0);
    workload.SaltFor(point);
    const Batch batch = workload.Deal(10);
    std::set<std::vector<uint32_t>> first;
    for (uint32_t i = 0; i < 10; ++i) {
      const std::vector<uint32_t> ids = IdsOf(batch.At(i));
      first.insert(Slice(ids, 0, 8));
      EXPECT_EQ(Slice(ids, 8, 20), Slice(dataset.entries[i].input_ids, 8, 20));
    }
    EXPECT_EQ(first.size(), 1u);
    salts.insert(*first.begin());
  }
  EXPECT_EQ(salts.size(), 3u);
}

}  // namespace
}  // namespace regatta
