// Lengths against a limit: which line is named, and how sessions add up.
#include "orchestrator/workload/length_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace regatta {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

DatasetEntry Entry(uint32_t line, uint32_t input, uint32_t output) {
  DatasetEntry entry;
  entry.task_id = std::to_string(line);
  entry.line = line;
  entry.input_ids.assign(input, 7);
  entry.output_tokens = output;
  return entry;
}

Dataset Of(std::vector<DatasetEntry> entries) { return {"d.jsonl", std::move(entries)}; }

const LengthLimit kLimit = {100, "the context of m", ""};

TEST(LengthCheckTest, WhatFitsPassesToTheLastToken) {
  EXPECT_TRUE(CheckRequestLengths(Of({Entry(1, 99, 1), Entry(2, 1, 99)}), kLimit).ok());
  EXPECT_TRUE(CheckRequestLengths(Of({Entry(1, 5000, 5000)}), LengthLimit()).ok()) << "not known";
}

TEST(LengthCheckTest, TheFirstLineIsNamedWhateverTheOrder) {
  const absl::Status status =
      CheckRequestLengths(Of({Entry(9, 200, 1), Entry(3, 99, 2), Entry(1, 1, 1)}), kLimit);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "d.jsonl:3: 99 tokens in and 2 out are 101, over 100, the context of m; so are 2 of 3 "
            "lines: shorten them or leave them out");
}

TEST(LengthCheckTest, SessionsGrowTurnByTurn) {
  DatasetEntry session = Entry(1, 20, 20);
  for (int turn = 0; turn < 2; ++turn) {
    DatasetTurn next;
    next.input_ids = {1, 2, 3, 4, 5};
    next.output_tokens = 25;
    session.next_turns.push_back(next);
  }
  EXPECT_TRUE(CheckRequestLengths(Of({session}), kLimit).ok());  // 20 + 20 + 2 x 30
  session.next_turns[1].output_tokens = 26;
  EXPECT_THAT(std::string(CheckRequestLengths(Of({session}), kLimit).message()),
              StartsWith("d.jsonl:1: 75 tokens in and 26 out at the last turn are 101, over 100"));
}

TEST(LengthCheckTest, PromptsThatAreNotCutMustFitAStep) {
  const LengthLimit step = {20, "max_num_tokens", "raise it"};
  EXPECT_TRUE(CheckPromptLengths(Of({Entry(1, 20, 500)}), step).ok());
  EXPECT_TRUE(CheckPromptLengths(Of({Entry(1, 21, 1)}), LengthLimit()).ok()) << "they are cut";
  EXPECT_EQ(
      CheckPromptLengths(Of({Entry(7, 30, 1), Entry(2, 21, 1), Entry(1, 5, 1)}), step).message(),
      "d.jsonl:2: 21 tokens in are over 20, max_num_tokens, and prompts are not cut into "
      "chunks there; so are 2 of 3 lines: raise it");
}

TEST(LengthCheckTest, WhatRaisesTheLimitAndWhatMakesPromptsShorter) {
  const absl::Status status =
      CheckRequestLengths(Of({Entry(0, 64, 64)}), {100, "--max-seq-len", "raise it to 1024"});
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("d.jsonl: task_id 0: 64 tokens in and 64 out are 128, over 100, "
                        "--max-seq-len; so are 1 of 1 prompts: raise it to 1024, or give a lower "
                        "--target-input-len or --target-output-len"));
}

}  // namespace
}  // namespace regatta
