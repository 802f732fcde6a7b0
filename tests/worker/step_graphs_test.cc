// Which sizes are recorded, and what they are chosen for.
#include "worker/step_graphs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::ElementsAre;

TEST(GraphSizesTest, SmallBatchesArePaddedLittle) {
  EXPECT_THAT(GraphSizes({}, 1), ElementsAre(1));
  EXPECT_THAT(GraphSizes({}, 20), ElementsAre(1, 2, 4, 8, 16, 20));
  const std::vector<int> sizes = GraphSizes({}, 4096);
  EXPECT_EQ(sizes.back(), 256);
  for (size_t i = 1; i < sizes.size(); ++i) {
    EXPECT_GT(sizes[i], sizes[i - 1]);
    EXPECT_LE(sizes[i] - sizes[i - 1], std::max(8, sizes[i] / 4)) << sizes[i];
  }
}

TEST(GraphSizesTest, WhatIsAskedForIsTaken) {
  GraphOptions options;
  options.set_max_batch_size(512);
  EXPECT_EQ(GraphSizes(options, 4096).back(), 512);
  EXPECT_EQ(GraphSizes(options, 100).back(), 100);
  options.add_batch_sizes(3);
  options.add_batch_sizes(48);
  EXPECT_THAT(GraphSizes(options, 4096), ElementsAre(3, 48));
}

TEST(GraphMemoryTest, IsReservedByTheNumberOfGraphs) {
  EXPECT_EQ(StepGraphs::ReservedBytes({}), 0);
  const uint64_t one = StepGraphs::ReservedBytes({.sizes = {1}, .contexts = {512}});
  const uint64_t six = StepGraphs::ReservedBytes({.sizes = {1, 2, 4}, .contexts = {512, 2048}});
  EXPECT_GT(one, 32 << 20) << "what is loaded at first use";
  EXPECT_GE(six - one, 5 << 20);
}

TEST(GraphContextsTest, GrowToTheLongestSequence) {
  EXPECT_THAT(GraphContexts(256), ElementsAre(256));
  EXPECT_THAT(GraphContexts(8192), ElementsAre(512, 2048, 8192));
  EXPECT_THAT(GraphContexts(10000), ElementsAre(512, 2048, 8192, 10000));
}

}  // namespace
}  // namespace regatta
