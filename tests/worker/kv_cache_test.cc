// How many blocks a cache gets, and what is said when it took too much.
#include "worker/kv_cache.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kMany = uint64_t{1} << 40;

// 1 MiB a block.
constexpr KvShape kShape = {.num_layers = 16,
                            .block_size = 16,
                            .num_kv_heads = 8,
                            .head_dim = 128,
                            .dtype = DType::kBFloat16};

TEST(KvRoomTest, IsAFractionThatLeavesWhatIsReserved) {
  ASSERT_EQ(kShape.BlockBytes(), uint64_t{1} << 20);
  EXPECT_EQ(NumKvBlocks(kShape, {.free_bytes = 10 * kGiB, .fraction = 0.5}, kMany, 0), 5 * 1024);
  // A tenth of the memory is left anyhow: the reserve costs nothing.
  EXPECT_EQ(NumKvBlocks(kShape, {10 * kGiB, 0.9, kGiB / 2}, kMany, 0), 9 * 1024);
  EXPECT_EQ(NumKvBlocks(kShape, {10 * kGiB, 1.0, kGiB}, kMany, 0), 9 * 1024);
  EXPECT_EQ(NumKvBlocks(kShape, {10 * kGiB, 1.0, 11 * kGiB}, kMany, 0), 0);
}

TEST(KvRoomTest, NoMoreBlocksThanAreUsefulOrAskedFor) {
  const KvRoom room = {.free_bytes = 10 * kGiB, .fraction = 0.5};
  EXPECT_EQ(NumKvBlocks(kShape, room, 100, 0), 100);
  EXPECT_EQ(NumKvBlocks(kShape, room, 100, 7), 7);
}

TEST(KvRoomTest, TheFractionThatIsAdvisedLeavesEnough) {
  const KvRoom room = {.free_bytes = 10 * kGiB, .fraction = 1.0};
  const uint64_t cache = NumKvBlocks(kShape, room, kMany, 0) * kShape.BlockBytes();
  const double fraction = FractionThatLeaves(cache, kGiB / 4, room.free_bytes);
  EXPECT_DOUBLE_EQ(fraction, 0.97);
  const KvRoom advised = {.free_bytes = room.free_bytes, .fraction = fraction};
  EXPECT_GE(cache - NumKvBlocks(kShape, advised, kMany, 0) * kShape.BlockBytes(), kGiB / 4);
  EXPECT_DOUBLE_EQ(FractionThatLeaves(kGiB, 2 * kGiB, room.free_bytes), 0.01);
}

}  // namespace
}  // namespace regatta
