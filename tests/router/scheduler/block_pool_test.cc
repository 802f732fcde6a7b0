// Reference counts and eviction order.
#include "router/scheduler/block_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace regatta {
namespace {

std::vector<uint32_t> AllocateAll(BlockPool& pool) {
  std::vector<uint32_t> blocks;
  pool.Allocate(pool.free_blocks(), blocks);
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
  pool.Share({block});
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
  for (const uint32_t block : {3, 1, 4}) pool.SetContent(block, {block, 0});
  for (const uint32_t block : {3, 0, 1, 2, 4}) pool.Release(block);
  EXPECT_EQ(pool.reusable_free_blocks(), 3u);
  pool.CheckInvariants();
  EXPECT_THAT(AllocateAll(pool), testing::ElementsAre(2, 0, 3, 1, 4));
}

TEST(BlockPoolTest, RevivedBlockLeavesTheMiddleOfTheFreeList) {
  BlockPool pool(3);
  AllocateAll(pool);
  for (const uint32_t block : {0, 1, 2}) pool.SetContent(block, {block, 0});
  for (const uint32_t block : {0, 1, 2}) pool.Release(block);
  pool.Share({1});
  EXPECT_EQ(pool.free_blocks(), 2u);
  EXPECT_EQ(pool.reusable_free_blocks(), 2u);
  pool.CheckInvariants();
  EXPECT_THAT(AllocateAll(pool), testing::ElementsAre(0, 2));
}

// Many at once, with blocks of others between, more than are fetched ahead.
TEST(BlockPoolTest, ASequenceIsEvictedLastBlockFirst) {
  constexpr uint32_t kBlocks = 100;
  BlockPool pool(kBlocks);
  const std::vector<uint32_t> all = AllocateAll(pool);
  std::vector<uint32_t> sequence, others;
  for (const uint32_t block : all) (block % 3 == 0 ? others : sequence).push_back(block);
  for (const uint32_t block : sequence) pool.SetContent(block, {block, 1});
  pool.Share(sequence);
  pool.Release(others);
  pool.Release(sequence);
  EXPECT_EQ(pool.free_blocks(), others.size());  // A reference each is left.
  pool.Release(sequence);
  pool.CheckInvariants();
  for (const uint32_t block : sequence) EXPECT_EQ(pool.content(block).low, block);
  // Blank ones as from a stack, so first block first; then those worth keeping, last first.
  std::vector<uint32_t> expected = others;
  expected.insert(expected.end(), sequence.rbegin(), sequence.rend());
  EXPECT_EQ(AllocateAll(pool), expected);
}

TEST(BlockPoolDeathTest, MisuseIsCaught) {
  BlockPool pool(1);
  EXPECT_DEATH(pool.Release(0), "block 0");
  pool.Allocate();
  EXPECT_DEATH(pool.Allocate(), "none of 1 blocks is free");
  pool.Release(0);
  EXPECT_DEATH(pool.Share({0}), "block 0 is blank");
}

}  // namespace
}  // namespace regatta
