// Limits that fit a load, and the file that holds them.
#include "orchestrator/search/tuned_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config.h"
#include "common/layout.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

ClusterDescription Cluster(const char* device, uint32_t dp = 1) {
  ClusterDescription cluster;
  cluster.mutable_model()->set_path("models/small");
  cluster.mutable_model()->set_dtype("bfloat16");
  cluster.mutable_model()->set_kv_cache_dtype("fp8");
  *cluster.mutable_layout() = *MakeLayout(2, 1, 1, dp);
  cluster.mutable_limits()->set_max_batch_size(3840);
  cluster.mutable_limits()->set_max_num_tokens(7680);
  cluster.mutable_limits()->set_max_seq_len(512);
  cluster.set_kv_cache_fraction(0.9);
  cluster.set_chunked_prefill(true);
  cluster.set_pace_prompts(true);
  cluster.add_workers()->mutable_description()->set_device_kind(device);
  return cluster;
}

PointReport Point(uint32_t users, const ClusterDescription& cluster, double input = 128,
                  double output = 128) {
  PointReport point;
  point.mutable_regatta()->set_concurrency(users);
  point.mutable_world_info()->set_dp_size(std::max(1u, cluster.layout().copies()));
  point.mutable_dataset()->set_avg_isl(input);
  point.mutable_dataset()->set_max_isl(input);
  point.mutable_dataset()->set_avg_osl(output);
  return point;
}

TEST(TunedLimitsTest, LeaveRoomBesideTheUsersOfACopy) {
  const ClusterDescription cluster = Cluster("cuda");
  const TunedLimits tuned = TuneLimits(Point(100, cluster), cluster);
  EXPECT_EQ(tuned.max_batch_size(), 128u);  // 1.25 x 100 = 125, in whole 8
  EXPECT_EQ(tuned.cuda_graph_max_batch_size(), 128u);
  EXPECT_EQ(tuned.reasons_size(), 4);
  const ClusterDescription copies = Cluster("cuda", 3);
  EXPECT_EQ(TuneLimits(Point(100, copies), copies).max_batch_size(), 48u);  // of 34
  for (const uint32_t users : {1u, 7u, 8u, 63u, 64u, 200u, 512u}) {
    const uint32_t room = TuneLimits(Point(users, cluster), cluster).max_batch_size();
    EXPECT_GE(room, 1.25 * users);
    EXPECT_GT(room, users) << "who joins would wait";
    EXPECT_LT(room, 1.25 * users + 8);
  }
}

TEST(TunedLimitsTest, WhatTheLoadWasMeasuredWithStays) {
  const ClusterDescription cluster = Cluster("cuda");
  const TunedLimits tuned = TuneLimits(Point(100, cluster), cluster);
  EXPECT_EQ(tuned.max_num_tokens(), 7680u);
  EXPECT_EQ(tuned.max_seq_len(), 512u);
  EXPECT_EQ(tuned.reasons(1), "max_num_tokens 7680: as it was measured");
  // A server that was measured with fewer places is not given more.
  const TunedLimits full = TuneLimits(Point(3840, cluster), cluster);
  EXPECT_EQ(full.max_batch_size(), 3840u);
  EXPECT_THAT(full.reasons(0), HasSubstr("no more than it was measured with"));
}

TEST(TunedLimitsTest, CpuRanksHaveNoGraphs) {
  const ClusterDescription cluster = Cluster("cpu");
  EXPECT_EQ(TuneLimits(Point(4, cluster), cluster).cuda_graph_max_batch_size(), 0u);
}

TEST(TunedYamlTest, IsAConfigurationThatTheRouterReads) {
  const ClusterDescription cluster = Cluster("cuda", 2);
  SweepReport sweep;
  sweep.set_command("regatta recommend --goal user-speed");
  Recommendation& recommendation = *sweep.mutable_recommendation();
  recommendation.set_concurrency(100);
  recommendation.set_question("most users");
  *recommendation.mutable_tuned_limits() = TuneLimits(Point(100, cluster), cluster);
  const std::string yaml = TunedYaml(sweep, cluster);
  ServerConfig config;
  std::vector<std::string> ignored;
  ASSERT_TRUE(ParseYaml(yaml, config, ignored).ok()) << yaml;
  ASSERT_TRUE(CheckServerConfig(config).ok()) << yaml;
  EXPECT_THAT(ignored, IsEmpty());
  EXPECT_EQ(config.tensor_parallel_size(), 2u);
  EXPECT_EQ(config.data_parallel_size(), 2u);
  EXPECT_EQ(config.max_batch_size(), 64u);
  EXPECT_EQ(config.max_num_tokens(), 7680u);
  EXPECT_EQ(config.max_seq_len(), 512u);
  EXPECT_EQ(config.cuda_graph_config().max_batch_size(), 64u);
  EXPECT_TRUE(config.enable_chunked_prefill());
  EXPECT_EQ(config.kv_cache_config().free_gpu_memory_fraction(), 0.9);
  EXPECT_EQ(config.kv_cache_config().dtype(), "fp8");
  EXPECT_EQ(config.dtype(), "bfloat16");
  EXPECT_THAT(
      yaml, HasSubstr("# max_batch_size 64: 1.25 times the 100 users over 2 copies of the model"));
  EXPECT_THAT(yaml, HasSubstr("as it was measured\nmax_num_tokens: 7680\n"));
  EXPECT_THAT(yaml, HasSubstr("however many join\ncuda_graph_config:\n"));
  EXPECT_THAT(yaml, HasSubstr("# Serve it: regatta serve models/small --config tuned.yaml"));
}

TEST(TunedYamlTest, SaysWhereAServerDoesNotPacePrompts) {
  ClusterDescription cluster = Cluster("cuda", 1);
  SweepReport sweep;
  EXPECT_THAT(TunedYaml(sweep, cluster), Not(HasSubstr("pace_prompts")));
  cluster.set_pace_prompts(false);
  EXPECT_THAT(TunedYaml(sweep, cluster), HasSubstr("scheduler_config:\n  pace_prompts: false\n"));
}

TEST(TunedYamlTest, OfAServerThatTellsNothingHasTheLimitsAlone) {
  ClusterDescription cluster;
  cluster.set_model_name("remote");
  SweepReport sweep;
  *sweep.mutable_recommendation()->mutable_tuned_limits() = TuneLimits(Point(64, cluster), cluster);
  const std::string yaml = TunedYaml(sweep, cluster);
  ServerConfig config;
  std::vector<std::string> ignored;
  ASSERT_TRUE(ParseYaml(yaml, config, ignored).ok()) << yaml;
  EXPECT_EQ(config.max_batch_size(), 80u);
  EXPECT_FALSE(config.has_max_num_tokens());
  EXPECT_FALSE(config.has_tensor_parallel_size());
  EXPECT_FALSE(config.has_max_seq_len());
  EXPECT_THAT(yaml, Not(HasSubstr("regatta serve")));
}

}  // namespace
}  // namespace regatta
