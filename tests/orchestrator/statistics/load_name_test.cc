// What loads are called, and which are the same.
#include "orchestrator/statistics/load_name.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

RegattaInfo Load(double rate, uint32_t concurrency, const char* arrival = "", double speedup = 0) {
  RegattaInfo info;
  info.set_concurrency(concurrency);
  info.mutable_load()->set_request_rate(rate);
  info.mutable_load()->set_arrival(arrival);
  info.mutable_load()->set_replay_speedup(speedup);
  return info;
}

TEST(LoadNameTest, SaysWhenRequestsAreSent) {
  EXPECT_EQ(LoadName(LoadOf(Load(0, 4, kClosedLoop))), "concurrency 4");
  EXPECT_EQ(LoadName(LoadOf(Load(0, 0, kBurst))), "all at once");
  EXPECT_EQ(LoadName(LoadOf(Load(20, 8))), "20 req/s, at most 8 at once");
  EXPECT_EQ(LoadLabel(LoadOf(Load(20, 8))), "20/s c=8");
}

TEST(LoadNameTest, ATraceIsNeitherABurstNorAClosedLoop) {
  EXPECT_EQ(LoadName(LoadOf(Load(0, 0, kTraceReplay, 1))), "trace replay");
  EXPECT_EQ(LoadLabel(LoadOf(Load(0, 0, kTraceReplay, 1))), "trace");
  EXPECT_EQ(LoadName(LoadOf(Load(0, 0, kTraceReplay))), "trace replay") << "a speed untold";
  const LoadKey faster = LoadOf(Load(0, 8, kTraceReplay, 5));
  EXPECT_EQ(LoadName(faster), "trace replay, 5 times as fast, at most 8 at once");
  EXPECT_EQ(LoadLabel(faster), "trace x5 c=8");
  EXPECT_NE(LoadOf(Load(0, 0, kTraceReplay, 1)), LoadOf(Load(0, 0, kBurst)));
}

TEST(LoadNameTest, ANameSaysItsLoad) {
  for (const RegattaInfo& info :
       {Load(0, 4, kClosedLoop), Load(0, 0, kBurst), Load(20, 8), Load(0.25, 0),
        Load(0, 0, kTraceReplay, 1), Load(0, 8, kTraceReplay, 2.5)}) {
    const LoadKey load = LoadOf(info);
    EXPECT_EQ(LoadNamed(LoadName(load)), load) << LoadName(load);
  }
  for (const char* other :
       {"", "trace", "concurrency -1", "concurrency 0", "nan req/s", "inf req/s",
        "20 req/s, concurrency 4", "trace replay, inf times as fast"}) {
    EXPECT_EQ(LoadNamed(other), std::nullopt) << other;
  }
}

TEST(LoadNameTest, UsersWithoutALimitAreABurst) {
  EXPECT_EQ(ArrivalOf(Load(0, 0, kClosedLoop)), kBurst);
  EXPECT_EQ(ArrivalOf(Load(0, 4, "")), kClosedLoop);
  EXPECT_EQ(ArrivalOf(Load(20, 8, "")), "") << "gaps that nobody told";
  EXPECT_EQ(ArrivalOf(Load(0, 8, kTraceReplay)), kTraceReplay);
}

}  // namespace
}  // namespace regatta
