// When memory is given back, and that it goes.
#include "router/memory_return.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <thread>
#include <vector>

namespace regatta {
namespace {

constexpr size_t kLeast = MemoryReturn::kWorthwhile;

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(MemoryReturnTest, OnceForManyBytesThatHaveGone) {
  MemoryReturn memory;
  EXPECT_FALSE(memory.Look(0, 0));
  EXPECT_FALSE(memory.Look(0, kLeast - 1));
  EXPECT_TRUE(memory.Look(0, kLeast));
  EXPECT_FALSE(memory.Look(0, kLeast));
  EXPECT_FALSE(memory.Look(0, 2 * kLeast - 1));
  EXPECT_TRUE(memory.Look(0, 2 * kLeast));
}

TEST(MemoryReturnTest, NotWhileMoreIsHeldThanHasGone) {
  MemoryReturn memory;
  EXPECT_FALSE(memory.Look(3 * kLeast, 3 * kLeast - 1));
  EXPECT_TRUE(memory.Look(3 * kLeast, 3 * kLeast));
}

// As a thread of connections leaves it: freed, all but what came last.
TEST(MemoryReturnTest, WhatIsFreeGoes) {
  constexpr size_t kPieces = 1 << 20, kPieceBytes = 64;
  size_t held = 0, kept = 0, left = 0;
  std::thread([&] {
    std::vector<std::unique_ptr<char[]>> pieces;
    for (size_t i = 0; i < kPieces; ++i) {
      pieces.push_back(std::make_unique<char[]>(kPieceBytes));
    }
    const std::unique_ptr<char[]> last = std::move(pieces.back());
    held = ResidentBytes();
    for (auto& piece : pieces) piece.reset();
    kept = ResidentBytes();
    MemoryReturn().Look(0, kLeast);
    left = ResidentBytes();
  }).join();
  EXPECT_GT(kept + kPieces * kPieceBytes / 2, held) << "there is nothing to give back";
  EXPECT_LT(left + kPieces * kPieceBytes / 2, kept);
}

}  // namespace
}  // namespace regatta
