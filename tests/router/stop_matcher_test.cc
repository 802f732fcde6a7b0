// Stop strings across every boundary between deltas.
#include "router/stop_matcher.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

// Feeds `text` cut at every position given by the bits of `cuts`; what is shown, held text included
// when nothing matched.
std::string Show(const std::vector<std::string>& stops, bool include, const std::string& text,
                 uint32_t cuts, bool& matched) {
  StopMatcher matcher(stops, include);
  std::string shown, piece;
  for (size_t i = 0; i < text.size(); ++i) {
    piece += text[i];
    if ((cuts >> i & 1) == 0) continue;
    shown += matcher.Append(piece);
    piece.clear();
  }
  shown += matcher.Append(piece);
  matched = matcher.matched();
  if (!matched) shown += matcher.Flush();
  return shown;
}

TEST(StopMatcherTest, EveryCutOfTheTextGivesTheSame) {
  const std::vector<std::string> stops = {"ab", "bcd", "aabb"};
  for (const std::string text : {"xaabbcd", "aaaab", "bcbcbcd", "xyz", "aaabbb", "bcab"}) {
    for (const bool include : {false, true}) {
      bool expected_match = false;
      const uint32_t every_byte = ~0u;
      const std::string expected = Show(stops, include, text, every_byte, expected_match);
      for (uint32_t cuts = 0; cuts < 1u << text.size(); ++cuts) {
        bool matched = false;
        EXPECT_EQ(Show(stops, include, text, cuts, matched), expected) << text << " " << cuts;
        EXPECT_EQ(matched, expected_match);
      }
    }
  }
}

TEST(StopMatcherTest, TheOccurrenceThatEndsFirstCounts) {
  bool matched = false;
  EXPECT_EQ(Show({"ab", "aabb"}, false, "xaabb", 0, matched), "xa");
  EXPECT_TRUE(matched);
  EXPECT_EQ(Show({"ab", "aab"}, false, "xaabb", 0, matched),
            "x");  // Both end together: the longest.
  EXPECT_EQ(Show({"ab"}, true, "xaabb", 0, matched), "xaab");
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBeginAStop) {
  StopMatcher matcher({"STOP", "TOAD"}, false);
  EXPECT_EQ(matcher.Append("go STO"), "go ");
  EXPECT_EQ(matcher.Append("A"), "S");  // "TOA" may become TOAD.
  EXPECT_EQ(matcher.Append("X"), "TOAX");
  EXPECT_EQ(matcher.Append("ST"), "");
  EXPECT_EQ(matcher.Flush(), "ST");
  EXPECT_EQ(matcher.Append("STOP and more"), "");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.Append("more"), "");
}

}  // namespace
}  // namespace regatta
