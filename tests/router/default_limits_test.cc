// Default limits from what workers describe, and the lines that explain them.
#include "router/default_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/layout.h"
#include "tests/testing/models.h"

namespace regatta {
namespace {

using testing::HasSubstr;

WorkerDescription Device(double gib, const std::string& kind = "cuda",
                         const std::string& host = "a") {
  WorkerDescription worker;
  worker.set_device_kind(kind);
  worker.set_host(host);
  worker.set_memory_bytes(static_cast<uint64_t>(gib * (uint64_t{1} << 30)));
  return worker;
}

GroupLimits Derive(const std::vector<WorkerDescription>& workers, const LimitsPolicy& policy,
                   const Limits& asked = {}) {
  std::vector<const WorkerDescription*> pointers;
  for (const WorkerDescription& worker : workers) pointers.push_back(&worker);
  const Layout layout = *MakeLayout(workers.size(), 1, 1, 1);
  auto limits = DeriveLimits(PublishedModel("llama-3.1-8b"), layout, pointers, policy, asked);
  EXPECT_TRUE(limits.ok()) << limits.status();
  return limits.value_or(GroupLimits());
}

TEST(DefaultLimitsTest, DevicesGetTheHeuristic) {
  const LimitsPolicy policy{.mean_input_length = 128, .mean_output_length = 128};
  const GroupLimits limits = Derive({Device(79.65)}, policy);
  EXPECT_EQ(limits.limits.max_batch_size(), 2048);
  EXPECT_EQ(limits.limits.max_num_tokens(), 3840);
  EXPECT_EQ(limits.limits.max_seq_len(), 131072);
  EXPECT_EQ(limits.max_kv_blocks, 0);
  EXPECT_THAT(limits.limits.reasoning(), HasSubstr("max_batch_size"));
}

// The cache's own dtype counts, not that of the weights.
TEST(DefaultLimitsTest, KeysAndValuesCountInTheirOwnDtype) {
  const auto reasoning = [](const std::string& dtype, const std::string& kv_dtype) {
    const LimitsPolicy policy{.dtype = dtype, .kv_cache_dtype = kv_dtype};
    return Derive({Device(79.65)}, policy).limits.reasoning();
  };
  EXPECT_EQ(reasoning("auto", "auto"), reasoning("auto", "bfloat16"));
  EXPECT_EQ(reasoning("float32", "auto"), reasoning("float32", "float32"));
  EXPECT_NE(reasoning("auto", "float32"), reasoning("auto", "bfloat16"));
  EXPECT_NE(reasoning("float32", "float16"), reasoning("float32", "float32"));
  EXPECT_NE(reasoning("auto", "fp8"), reasoning("auto", "bfloat16"));
}

TEST(DefaultLimitsTest, AskedLimitsAreKeptAndSaid) {
  Limits asked;
  asked.set_max_batch_size(77);
  asked.set_max_seq_len(1000);
  const GroupLimits limits = Derive({Device(79.65)}, {.max_kv_tokens = 100}, asked);
  EXPECT_EQ(limits.limits.max_batch_size(), 77);
  EXPECT_EQ(limits.limits.max_seq_len(), 1000);
  EXPECT_GT(limits.limits.max_num_tokens(), 0);
  EXPECT_EQ(limits.max_kv_blocks, 7);  // of 16 tokens
  EXPECT_THAT(limits.limits.reasoning(), HasSubstr("max_batch_size 77: asked for"));
}

TEST(DefaultLimitsTest, CpuRanksShareTheirHostAndAreCapped) {
  // float32 weights take 30 GiB: 2 x 20 GiB of one host hold them, its own 20 GiB would not.
  const GroupLimits limits = Derive({Device(80, "cpu"), Device(80, "cpu")},
                                    {.mean_input_length = 64, .mean_output_length = 64});
  EXPECT_EQ(limits.limits.max_batch_size(), kMaxCpuBatchSize);
  EXPECT_LE(limits.limits.max_num_tokens(), kMaxCpuNumTokens);
  EXPECT_GT(limits.max_kv_blocks, 0);
  EXPECT_THAT(limits.limits.reasoning(), HasSubstr("memory 40.00 GiB x 2"));
  EXPECT_THAT(limits.limits.reasoning(), HasSubstr("CPU ranks: max_batch_size capped at 256"));
}

TEST(DefaultLimitsTest, ImpossibleWishesNameTheLimit) {
  const WorkerDescription small = Device(10);
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  const Layout layout = *MakeLayout(1, 1, 1, 1);
  const auto too_big = DeriveLimits(spec, layout, {&small}, {}, {});
  EXPECT_EQ(too_big.status().code(), absl::StatusCode::kResourceExhausted);
  Limits asked;
  asked.set_max_seq_len(200000);
  const auto too_long = DeriveLimits(spec, layout, {&small}, {}, asked);
  EXPECT_EQ(too_long.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(too_long.status().message()), HasSubstr("131072"));
}

}  // namespace
}  // namespace regatta
