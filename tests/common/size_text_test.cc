// Units that fit, at their edges.
#include "common/size_text.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

constexpr double kKib = 1024, kMib = 1024 * kKib, kGib = 1024 * kMib;

TEST(SizeTextTest, TheUnitFitsTheSize) {
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(1), "1 B");
  EXPECT_EQ(SizeText(1023), "1023 B");
  EXPECT_EQ(SizeText(kKib), "1.0 KiB");
  EXPECT_EQ(SizeText(57.25 * kKib), "57.2 KiB");
  EXPECT_EQ(SizeText(11.5 * kMib), "11.5 MiB");
  EXPECT_EQ(SizeText(14.956 * kGib), "14.96 GiB");
  EXPECT_EQ(SizeText(2048 * kGib), "2048.00 GiB");
}

TEST(SizeTextTest, NothingIsShownAs1024OfTheUnitBelow) {
  EXPECT_EQ(SizeText(kMib - 1), "1.0 MiB");
  EXPECT_EQ(SizeText(kGib - 1), "1.00 GiB");
  EXPECT_EQ(SizeText(kGib - kMib), "1023.0 MiB");
}

}  // namespace
}  // namespace regatta
