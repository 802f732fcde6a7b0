// With which flags a run goes on.
#include "orchestrator/commands/resumed_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SweepReport Begun(const std::vector<std::string>& flags) {
  SweepReport begun;
  begun.mutable_journal()->mutable_identity()->mutable_flags()->Add(flags.begin(), flags.end());
  return begun;
}

TEST(ResumedFlagsTest, EveryValueOfAFlagIsKept) {
  const auto flags = FlagsToGoOn(
      Begun({"--goodput=ttft:500", "--goodput=tpot:20", "--user-speed=20", "--user-speed=50"}),
      {"--resume=here"}, "here");
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_THAT(*flags, ElementsAre("--goodput=ttft:500", "--goodput=tpot:20", "--user-speed=20",
                                  "--user-speed=50"));
}

TEST(ResumedFlagsTest, WhatChangesNoFigureTakesTheOldOnesPlace) {
  const auto flags = FlagsToGoOn(Begun({"--tls-key=old.key", "--concurrency=4", "--run-dir=there"}),
                                 {"--tls-key=new.key", "--concurrency=4"}, "there");
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_THAT(*flags, ElementsAre("--tls-key=new.key", "--concurrency=4"));
}

TEST(ResumedFlagsTest, AnotherFlagIsRefusedByName) {
  const auto flags = FlagsToGoOn(Begun({"--concurrency=4"}), {"--concurrency=8"}, "here");
  EXPECT_THAT(std::string(flags.status().message()),
              HasSubstr("--concurrency=8: the sweep was begun with --concurrency=4"));
  EXPECT_THAT(std::string(FlagsToGoOn(SweepReport(), {}, "here").status().message()),
              HasSubstr("--resume here: its results have no journal"));
}

}  // namespace
}  // namespace regatta
