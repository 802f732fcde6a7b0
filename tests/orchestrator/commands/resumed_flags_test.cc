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
      "sweep", {"--resume=here"}, "here");
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_THAT(*flags, ElementsAre("--goodput=ttft:500", "--goodput=tpot:20", "--user-speed=20",
                                  "--user-speed=50"));
}

TEST(ResumedFlagsTest, WhatChangesNoFigureTakesTheOldOnesPlace) {
  const auto flags = FlagsToGoOn(Begun({"--tls-key=old.key", "--concurrency=4", "--run-dir=there"}),
                                 "sweep", {"--tls-key=new.key", "--concurrency=4"}, "there");
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_THAT(*flags, ElementsAre("--tls-key=new.key", "--concurrency=4"));
}

TEST(ResumedFlagsTest, AnotherFlagIsRefusedByName) {
  const auto flags = FlagsToGoOn(Begun({"--concurrency=4"}), "sweep", {"--concurrency=8"}, "here");
  EXPECT_THAT(std::string(flags.status().message()),
              HasSubstr("--concurrency=8: the sweep was begun with --concurrency=4"));
  EXPECT_THAT(std::string(FlagsToGoOn(SweepReport(), "sweep", {}, "here").status().message()),
              HasSubstr("--resume here: its results have no journal"));
}

TEST(ResumedFlagsTest, OnlyTheCommandThatBeganARunGoesOn) {
  SweepReport begun = Begun({});
  const auto refusal = [&](const std::string& command) {
    return std::string(FlagsToGoOn(begun, command, {}, "my run").status().message());
  };
  EXPECT_EQ(refusal("sweep"), "") << "one that does not name its command";
  EXPECT_THAT(refusal("recommend"), HasSubstr("was begun by `regatta sweep`"));
  begun.mutable_journal()->mutable_identity()->set_command("recommend");
  EXPECT_EQ(refusal("recommend"), "");
  EXPECT_THAT(refusal("sweep"), HasSubstr("--resume my run: was begun by `regatta recommend`: "
                                          "regatta recommend --resume 'my run'"));
  begun.mutable_journal()->mutable_identity()->set_command("compare");
  EXPECT_THAT(refusal("sweep"), HasSubstr("`regatta compare`, which does not go on"));
}

}  // namespace
}  // namespace regatta
