// Conditions: how they are read, and when they fail.
#include "orchestrator/compare/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/check.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

Gate Parse(const std::string& text) {
  const absl::StatusOr<Gate> gate = ParseGate(text);
  CHECK(gate.ok()) << gate.status().message();
  return *gate;
}

Effect Of(double low, double high) { return {1, Effect::Bounds{low, high}, 0.95}; }

TEST(ParseGateTest, ReadsMetricSideAndChange) {
  const Gate drop = Parse("output_throughput < -3 %");
  EXPECT_EQ(drop.text, "output_throughput<-3%");
  EXPECT_STREQ(drop.metric->name, "output_throughput");
  EXPECT_TRUE(drop.below);
  EXPECT_DOUBLE_EQ(drop.limit, 0.97);
  const Gate rise = Parse("p95_ttft>+5%");
  EXPECT_FALSE(rise.below);
  EXPECT_DOUBLE_EQ(rise.limit, 1.05);
  EXPECT_DOUBLE_EQ(Parse("p95_ttft>0.5%").limit, 1.005);
}

TEST(ParseGateTest, NamesWhatIsWrong) {
  const auto error = [](const char* text) {
    return std::string(ParseGate(text).status().message());
  };
  EXPECT_THAT(error("output_throughput=-3%"), HasSubstr("METRIC<CHANGE%"));
  EXPECT_THAT(error("speed<-3%"), HasSubstr("'speed' is none of output_throughput"));
  EXPECT_THAT(error("p95_ttft>+5"), HasSubstr("'+5' must end in %"));
  EXPECT_THAT(error("p95_ttft>lots%"), HasSubstr("'lots' must be a number above -100"));
  EXPECT_THAT(error("p95_ttft<-100%"), HasSubstr("above -100"));
  EXPECT_THAT(error("p95_ttft>nan%"), HasSubstr("above -100"));
  EXPECT_THAT(error("p95_ttft>++5%"), HasSubstr("must be a number"));
}

TEST(DecideTest, HoldsOnlyWhenTheWholeIntervalMeetsTheCondition) {
  const Gate drop = Parse("output_throughput<-3%");
  EXPECT_EQ(Decide(drop, Of(0.94, 0.96)), GATE_HOLDS);
  EXPECT_EQ(Decide(drop, Of(0.96, 0.98)), GATE_OPEN);
  EXPECT_EQ(Decide(drop, Of(0.98, 1.02)), GATE_EXCLUDED);
  EXPECT_EQ(Decide(drop, {0.5, {}, 0}), GATE_NOT_JUDGED);
  const Gate rise = Parse("p95_ttft>+5%");
  EXPECT_EQ(Decide(rise, Of(1.06, 1.20)), GATE_HOLDS);
  EXPECT_EQ(Decide(rise, Of(1.04, 1.20)), GATE_OPEN);
  EXPECT_EQ(Decide(rise, Of(0.90, 1.05)), GATE_EXCLUDED);
}

TEST(ConfidenceOfEachTest, SharesTheChanceOfAnErrorOut) {
  EXPECT_DOUBLE_EQ(ConfidenceOfEach(1), 0.95);
  EXPECT_DOUBLE_EQ(ConfidenceOfEach(10), 0.995);
}

}  // namespace
}  // namespace regatta
