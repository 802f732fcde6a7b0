// Reference counts and eviction order.
#include "router/block_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace regatta {
namespace {

std::vector<uint32_t> AllocateAll(BlockPool& pool) {
  std::vector<uint32_t> blocks;
  while (pool.free_blocks() > 0) blocks.push_back(pool.Allocate());
  return blocks;
}

TEST(BlockPoolTest, HandsOutEveryBlockOnce) {
  BlockPool pool(4);
  EXPECT_THAT(AllocateAll(pool), testing::UnorderedElementsAre(0, 1, 2, 3));
  pool.CheckInvariants();
}

TEST(BlockPoolTest, LastReferenceFrees) {
  BlockPool pool(2);
  const uint32_t block = pool.Allocate();
  pool.Share(block);
  pool.Release(block);
  EXPECT_EQ(pool.free_blocks(), 1u);
  EXPECT_EQ(pool.references(block), 1u);
  pool.Release(block);
  EXPECT_EQ(pool.free_blocks(), 2u);
  pool.CheckInvariants();
}

TEST(BlockPoolTest, BlankBlocksGoBeforeReusableOnesAndThoseInOrderOfRelease) {
  BlockPool pool(5);
  AllocateAll(pool);
  for (const uint32_t block : {3, 1, 4}) pool.SetReusable(block, true);
  for (const uint32_t block : {3, 0, 1, 2, 4}) pool.Release(block);
  EXPECT_EQ(pool.reusable_free_blocks(), 3u);
  pool.CheckInvariants();
  EXPECT_THAT(AllocateAll(pool), testing::ElementsAre(2, 0, 3, 1, 4));
}

TEST(BlockPoolTest, RevivedBlockLeavesTheMiddleOfTheFreeList) {
  BlockPool pool(3);
  AllocateAll(pool);
  for (const uint32_t block : {0, 1, 2}) pool.SetReusable(block, true);
  for (const uint32_t block : {0, 1, 2}) pool.Release(block);
  pool.Share(1);
  EXPECT_EQ(pool.free_blocks(), 2u);
  EXPECT_EQ(pool.reusable_free_blocks(), 2u);
  pool.CheckInvariants();
  EXPECT_THAT(AllocateAll(pool), testing::ElementsAre(0, 2));
}

TEST(BlockPoolDeathTest, MisuseIsCaught) {
  BlockPool pool(1);
  EXPECT_DEATH(pool.Release(0), "block 0");
  pool.Allocate();
  EXPECT_DEATH(pool.Allocate(), "free_blocks");
}

}  // namespace
}  // namespace regatta
