// What deltas take, encoded, and when too much of them waits.
#include "router/delta_backlog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/request.h"

namespace regatta {
namespace {

using testing::HasSubstr;

constexpr uint32_t kLargestId = (1 << 24) - 1;
constexpr size_t kGrpcDefaultBytes = 4 << 20;

// The first delta of a request that asks for as many log-probabilities of its prompt as it may.
TokenDelta LargestDelta(uint32_t top_logprobs) {
  TokenDelta delta;
  for (uint64_t i = 0; i < kMaxPromptLogprobs / (1 + top_logprobs); ++i) {
    delta.mutable_prompt_logprobs()->add_logprobs(-1.5f);
    if (top_logprobs == 0) continue;
    TopLogprobs& top = *delta.mutable_prompt_logprobs()->add_top_logprobs();
    for (uint32_t j = 0; j < top_logprobs; ++j) {
      top.add_token_ids(kLargestId);
      top.add_logprobs(-2.5f);
    }
  }
  return delta;
}

TEST(BytesOfTest, TheLargestDeltasFitAMessage) {
  for (const uint32_t top : {0u, 1u, 2u, 5u, kMaxTopLogprobs}) {
    const TokenDelta delta = LargestDelta(top);
    EXPECT_GE(BytesOf(delta), delta.ByteSizeLong()) << top;
    EXPECT_LT(BytesOf(delta), kGrpcDefaultBytes - (64 << 10)) << top;
  }
}

TEST(BytesOfTest, ColumnsOfOutputCount) {
  TokenDelta delta;
  delta.set_count(kLargestId);
  delta.set_text(std::string(1000, 'x'));
  delta.set_error("why");
  for (int i = 0; i < 100; ++i) {
    delta.add_token_ids(kLargestId);
    delta.add_logprobs(-1);
    TopLogprobs& top = *delta.add_top_logprobs();
    for (uint32_t j = 0; j < kMaxTopLogprobs; ++j) {
      top.add_token_ids(kLargestId);
      top.add_logprobs(-1);
    }
  }
  EXPECT_GE(BytesOf(delta), delta.ByteSizeLong());
}

TEST(DeltaBacklogTest, DeltasAndBytesHaveALimit) {
  DeltaBacklog deltas({.deltas = 2, .bytes = 1000});
  deltas.Add(1);
  deltas.Add(1);
  EXPECT_FALSE(deltas.overflows());
  deltas.Add(1);
  EXPECT_TRUE(deltas.overflows());
  EXPECT_THAT(deltas.Complaint(), HasSubstr("3 deltas of 3 bytes wait for it"));
  deltas.Take(2, 2);
  EXPECT_FALSE(deltas.overflows());
  DeltaBacklog bytes({.deltas = 100, .bytes = 1000});
  bytes.Add(1000);
  EXPECT_FALSE(bytes.overflows());
  bytes.Add(1);
  EXPECT_TRUE(bytes.overflows());
}

}  // namespace
}  // namespace regatta
