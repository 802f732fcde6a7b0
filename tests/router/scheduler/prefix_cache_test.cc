// Keys against published vectors; what is found, when, and until when.
#include "router/scheduler/prefix_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace regatta {
namespace {

// SipHash-2-4-128 of the bytes 0, 1, 2, ... under the key 0, 1, ..., 15. Source: `openssl mac
// -macopt size:16 SIPHASH` (3.0), which agrees with the reference implementation's vectors.
TEST(BlockKeyTest, IsSipHash) {
  const std::vector<std::pair<size_t, std::string>> vectors = {
      {0, "a3817f04ba25a8e66df67214c7550293"},  {4, "f88164c12d9c8faf7d0f6e7c7bcd5579"},
      {8, "3b62a9ba6258f5610f83e264f31497b4"},  {20, "9e25fc833f2290733e9344a5e83839eb"},
      {64, "1eaf077dc0d4cd3f8cad4d383658a74b"}, {80, "d2c76ae17a4370f858fba4795a0df822"}};
  for (const auto& [bytes, expected] : vectors) {
    std::vector<uint32_t> words(bytes / 4);
    for (uint32_t i = 0; i < words.size(); ++i) words[i] = 0x03020100u + 0x04040404u * i;
    const BlockKey key = SipHash128(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, words);
    char digest[16];
    std::memcpy(digest, &key, 16);
    EXPECT_EQ(absl::BytesToHexString({digest, 16}), expected) << bytes << " bytes";
  }
}

TEST(BlockKeyTest, DependsOnSecretParentTokensAndTheirOrder) {
  const BlockKey key = MakeBlockKey(1, {}, {1, 2, 3});
  EXPECT_TRUE(key == MakeBlockKey(1, {}, {1, 2, 3}));
  EXPECT_FALSE(key == MakeBlockKey(2, {}, {1, 2, 3}));
  EXPECT_FALSE(key == MakeBlockKey(1, key, {1, 2, 3}));
  EXPECT_FALSE(key == MakeBlockKey(1, {}, {2, 1, 3}));
  EXPECT_FALSE(key == MakeBlockKey(1, {}, {1, 2}));
}

BlockKey Key(uint32_t i) { return MakeBlockKey(0, {}, {i}); }

TEST(PrefixCacheTest, FindsWhatWasPublishedWhileHeldAndWhileFree) {
  BlockPool pool(4);
  PrefixCache cache(pool, true);
  const uint32_t block = cache.Allocate();
  EXPECT_EQ(cache.Find(Key(1)), BlockPool::kNone);
  EXPECT_TRUE(cache.Publish(block, Key(1)));
  EXPECT_EQ(cache.Find(Key(1)), block);
  pool.Release(block);
  EXPECT_EQ(cache.Find(Key(1)), block);
  EXPECT_EQ(pool.reusable_free_blocks(), 1u);
  cache.CheckInvariants();
}

TEST(PrefixCacheTest, AnEqualBlockStaysPrivate) {
  BlockPool pool(2);
  PrefixCache cache(pool, true);
  const uint32_t first = cache.Allocate(), second = cache.Allocate();
  EXPECT_TRUE(cache.Publish(first, Key(1)));
  EXPECT_FALSE(cache.Publish(second, Key(1)));
  EXPECT_EQ(cache.Find(Key(1)), first);
  EXPECT_FALSE(pool.reusable(second));
  cache.CheckInvariants();
}

TEST(PrefixCacheTest, EvictsTheLeastRecentlyFreedWhenNoBlankOneIsLeft) {
  BlockPool pool(3);
  PrefixCache cache(pool, true);
  for (uint32_t i = 0; i < 3; ++i) cache.Publish(cache.Allocate(), Key(i));
  for (const uint32_t i : {1u, 0u, 2u}) pool.Release(cache.Find(Key(i)));
  pool.Share({cache.Find(Key(1))});  // Used again: now the most recent.
  pool.Release(cache.Find(Key(1)));
  for (const uint32_t evicted : {0u, 2u, 1u}) {
    EXPECT_NE(cache.Find(Key(evicted)), BlockPool::kNone);
    cache.Allocate();
    EXPECT_EQ(cache.Find(Key(evicted)), BlockPool::kNone);
    cache.CheckInvariants();
  }
}

TEST(PrefixCacheTest, HoldsAsManyBlocksAsThePoolThroughManyGenerations) {
  constexpr uint32_t kBlocks = 1000;
  BlockPool pool(kBlocks);
  PrefixCache cache(pool, true);
  for (uint32_t i = 0; i < 5 * kBlocks; ++i) {
    const uint32_t block = cache.Allocate();
    ASSERT_TRUE(cache.Publish(block, Key(i)));
    pool.Release(block);
  }
  for (uint32_t i = 0; i < 5 * kBlocks; ++i) {
    EXPECT_EQ(cache.Find(Key(i)) != BlockPool::kNone, i >= 4 * kBlocks) << i;
  }
  cache.CheckInvariants();
}

// Of a prompt longer than what is fetched ahead: what is found ends at the first block that is
// gone.
TEST(PrefixCacheTest, FindsThePartOfAPromptThatIsStillThere) {
  constexpr uint32_t kBlocks = 200;
  BlockPool pool(kBlocks);
  PrefixCache cache(pool, true);
  std::vector<BlockKey> keys;
  for (uint32_t i = 0; i < kBlocks; ++i) keys.push_back(Key(i));
  std::vector<uint32_t> blocks, found;
  cache.Allocate(kBlocks, blocks);
  ASSERT_TRUE(cache.Publish(blocks[7], keys[7]));  // One is findable already.
  cache.Publish(blocks, keys);
  cache.FindPrefix(keys, found);
  EXPECT_EQ(found, blocks);
  pool.Release(blocks);
  std::vector<uint32_t> taken;
  cache.Allocate(kBlocks / 2, taken);
  EXPECT_THAT(taken, testing::ElementsAreArray(blocks.rbegin(), blocks.rbegin() + kBlocks / 2));
  cache.CheckInvariants();
  cache.FindPrefix(keys, found);  // Appends.
  ASSERT_EQ(found.size(), kBlocks + kBlocks / 2);
  EXPECT_TRUE(std::equal(found.begin() + kBlocks, found.end(), blocks.begin()));
}

// Keys whose searches begin at four neighbouring slots, two of them at the end of the table: what
// is removed from the middle of such a crowd must not hide the rest.
TEST(PrefixCacheTest, CrowdedKeysAreFoundWhateverWasRemovedBetweenThem) {
  constexpr uint32_t kBlocks = 64;
  BlockPool pool(kBlocks);
  PrefixCache cache(pool, true);
  std::mt19937 random(7);
  std::map<uint64_t, uint32_t> known;  // high half of the key -> block
  std::vector<uint32_t> held;
  const auto key = [](uint64_t i) { return BlockKey{(i % 4 - 2) & 0xffffffffu, i}; };
  for (uint64_t i = 0; i < 20'000; ++i) {
    const uint32_t block = cache.Allocate();
    std::erase_if(known, [block](const auto& entry) { return entry.second == block; });
    ASSERT_TRUE(cache.Publish(block, key(i)));
    known[i] = block;
    held.push_back(block);
    while (held.size() > kBlocks / 2 || (held.size() > 1 && random() % 2 == 0)) {
      std::swap(held[random() % held.size()], held.back());
      pool.Release(held.back());
      held.pop_back();
    }
    for (const auto& [high, where] : known) ASSERT_EQ(cache.Find(key(high)), where) << i;
    ASSERT_EQ(known.size(), std::min<uint64_t>(i + 1, kBlocks));
  }
  cache.CheckInvariants();
}

TEST(PrefixCacheTest, DisabledFindsNothing) {
  BlockPool pool(2);
  PrefixCache cache(pool, false);
  const uint32_t block = cache.Allocate();
  EXPECT_FALSE(cache.Publish(block, Key(1)));
  EXPECT_EQ(cache.Find(Key(1)), BlockPool::kNone);
  std::vector<uint32_t> blocks;
  cache.Allocate(1, blocks);
  cache.Publish(blocks, {Key(1)});
  blocks.clear();
  cache.FindPrefix({Key(1)}, blocks);
  EXPECT_TRUE(blocks.empty());
  cache.CheckInvariants();
}

}  // namespace
}  // namespace regatta
