// When a load that was measured twice says that the machine changed.
#include "orchestrator/statistics/drift.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

MeasuredTwice Speeds(double before, double after) {
  return {"concurrency 4", before, after, "in the search", "with fresh prompts", nullptr};
}

TEST(DriftTest, IsMoreThanATenthEitherWay) {
  EXPECT_EQ(DriftOf(Speeds(100, 109)), "");
  EXPECT_EQ(DriftOf(Speeds(100, 91)), "");
  EXPECT_EQ(DriftOf(Speeds(0, 91)), "");
  EXPECT_EQ(DriftOf(Speeds(100, 258)),
            "concurrency 4 had 100.0 tok/s per user in the search, 258.0 with fresh prompts "
            "(+158.0 %)");
  EXPECT_NE(DriftOf(Speeds(100, 80)), "");
}

TEST(DriftTest, RunsThatDifferAsMuchAmongThemselvesSayNothing) {
  MeasuredTwice speeds = Speeds(100, 80);
  Interval interval;
  interval.set_low(55);
  interval.set_high(105);
  speeds.interval = &interval;
  EXPECT_EQ(DriftOf(speeds), "");
  interval.set_high(99);
  EXPECT_NE(DriftOf(speeds), "");
}

TEST(DriftTest, OneSentenceSaysWhatFollows) {
  EXPECT_EQ(DriftSentence({}, "so"), "");
  EXPECT_EQ(DriftSentence({"a", "b"}, "they differ"),
            "the machine did not stay the same: a; b; they differ, so look for other load and "
            "throttling (`regatta doctor`)");
}

}  // namespace
}  // namespace regatta
