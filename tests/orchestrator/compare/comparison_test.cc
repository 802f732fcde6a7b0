// Two runs side by side: which runs meet, what is left out, what is said.
#include "orchestrator/compare/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/check.h"
#include "orchestrator/compare/compared_metrics.h"
#include "orchestrator/compare/comparison_text.h"
#include "orchestrator/compare/forest_plot.h"
#include "tests/orchestrator/compare/compared_runs.h"

namespace regatta {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Comparison Compare(const SweepReport& a, const SweepReport& b,
                   const std::vector<std::string>& gates = {}) {
  ComparisonOptions options;
  for (const std::string& text : gates) {
    const absl::StatusOr<Gate> gate = ParseGate(text);
    CHECK(gate.ok()) << gate.status().message();
    options.gates.push_back(*gate);
  }
  const absl::StatusOr<Comparison> comparison = CompareRuns({"a", a}, {"b", b}, options);
  CHECK(comparison.ok()) << comparison.status().message();
  return *comparison;
}

const ComparedFigure& FigureOf(const ComparedLoad& load, const std::string& metric) {
  for (const ComparedFigure& figure : load.figures()) {
    if (figure.metric() == metric) return figure;
  }
  return ComparedFigure::default_instance();
}

// Five repeats at two loads that drift by a tenth each; B has `speed` times A's throughput.
SweepReport Drifting(double speed) {
  SweepReport sweep;
  for (uint32_t repeat = 1; repeat <= 5; ++repeat) {
    const double drift = 1 + 0.1 * repeat, wobble = repeat % 2 == 0 ? 1.001 : 0.999;
    const double own = speed == 1 ? 1 : speed * wobble;
    AddRun(1, repeat, 50 * drift * own, 20, sweep);
    AddRun(8, repeat, 300 * drift * own, 40, sweep);
  }
  return sweep;
}

TEST(CompareRunsTest, InterleavedRunsAreComparedAsPairs) {
  SweepReport a = Drifting(1), b = Drifting(0.95);
  Interleave("x", a);
  Interleave("x", b);
  const Comparison comparison = Compare(a, b);
  ASSERT_EQ(comparison.loads_size(), 3);
  EXPECT_EQ(comparison.loads(0).load(), "concurrency 1");
  EXPECT_EQ(comparison.loads(1).load(), "concurrency 8");
  EXPECT_EQ(comparison.loads(2).load(), "all loads");
  for (const ComparedLoad& load : comparison.loads()) {
    EXPECT_TRUE(load.paired());
    EXPECT_FALSE(load.indicative());
    EXPECT_EQ(load.runs_b(), 5u);
    const ComparedFigure& figure = FigureOf(load, "output_throughput");
    EXPECT_NEAR(figure.ratio(), 0.95, 0.001);
    EXPECT_EQ(figure.verdict(), VERDICT_WORSE) << load.load();
    EXPECT_EQ(FigureOf(load, "p95_ttft").verdict(), VERDICT_SAME);
  }
}

TEST(CompareRunsTest, OtherRunsAreIndependentSamples) {
  const Comparison comparison = Compare(Drifting(1), Drifting(0.95));
  const ComparedLoad& load = comparison.loads(0);
  EXPECT_FALSE(load.paired());
  EXPECT_NEAR(FigureOf(load, "output_throughput").ratio(), 0.95, 0.001);
  EXPECT_EQ(FigureOf(load, "output_throughput").verdict(), VERDICT_UNCLEAR);  // the drift
  EXPECT_THAT(ComparisonText(comparison, false), HasSubstr("were not interleaved"));
  SweepReport a = Drifting(1), b = Drifting(0.95);
  Interleave("x", a);
  Interleave("y", b);
  EXPECT_FALSE(Compare(a, b).loads(0).paired());
}

TEST(CompareRunsTest, RunsWithFailuresAreLeftOutWithTheirCounterparts) {
  SweepReport a = Drifting(1), b = Drifting(0.95);
  Interleave("x", a);
  Interleave("x", b);
  b.mutable_runs(0)->mutable_regatta()->set_failed_requests(1);
  const Comparison comparison = Compare(a, b);
  EXPECT_EQ(comparison.loads(0).runs_a(), 4u);
  EXPECT_EQ(comparison.loads(0).runs_b(), 4u);
  EXPECT_EQ(comparison.loads(0).failed_runs_b(), 1u);
  EXPECT_TRUE(comparison.loads(0).indicative());
  EXPECT_EQ(comparison.loads(1).runs_b(), 5u);
  EXPECT_EQ(comparison.loads(2).runs_b(), 4u);
  EXPECT_THAT(ComparisonText(comparison, false), HasSubstr("0 of A, 1 of B"));
}

TEST(CompareRunsTest, SingleRunsHaveRatiosAndNoVerdict) {
  SweepReport a, b;
  AddRun(4, 0, 100, 20, a);
  AddRun(4, 0, 110, 20, b);
  const Comparison comparison = Compare(a, b, {"output_throughput<-3%"});
  const ComparedFigure& figure = FigureOf(comparison.loads(0), "output_throughput");
  EXPECT_DOUBLE_EQ(figure.ratio(), 1.1);
  EXPECT_EQ(figure.confidence(), 0);
  EXPECT_EQ(figure.verdict(), VERDICT_TOO_FEW_RUNS);
  EXPECT_EQ(comparison.gates(0).outcome(), GATE_NOT_JUDGED);
  EXPECT_THAT(
      ComparisonText(comparison, false),
      AllOf(HasSubstr("not enough data"), HasSubstr("NOT JUDGED: too few runs for an interval")));
}

TEST(CompareRunsTest, LoadsThatOnlyOneHasAreNamed) {
  SweepReport a = Drifting(1), b = Drifting(1);
  AddRun(16, 1, 500, 20, a);
  AddRun(32, 1, 500, 20, b);
  AddRun(64, 1, 500, 20, a);
  AddRun(64, 1, 500, 20, b).mutable_regatta()->set_failed_requests(3);
  const Comparison comparison = Compare(a, b, {"output_throughput<-3%"});
  EXPECT_EQ(comparison.loads_size(), 3);
  EXPECT_THAT(
      comparison.not_compared(),
      ElementsAre(HasSubstr("concurrency 64: there are no runs of both"),
                  "concurrency 16: only A measured it", "concurrency 32: only B measured it"));
  // What B could not do without failures, or did not do at all, is no success.
  ASSERT_EQ(comparison.gates_size(), 4);
  EXPECT_EQ(comparison.gates(2).load(), "concurrency 64");
  EXPECT_EQ(comparison.gates(3).load(), "concurrency 16");
  for (const int gate : {2, 3}) EXPECT_EQ(comparison.gates(gate).outcome(), GATE_NOT_JUDGED);
  EXPECT_EQ(comparison.gates(2).unjudged(), "no runs of both in which all requests succeeded");
  EXPECT_EQ(comparison.gates(3).unjudged(), "no runs of B to compare with");
  EXPECT_TRUE(comparison.gates(0).unjudged().empty());
  SweepReport alone;
  AddRun(3, 1, 1, 1, alone);
  const absl::Status nothing = CompareRuns({"a", a}, {"x", alone}, {}).status();
  EXPECT_THAT(
      std::string(nothing.message()),
      HasSubstr("'a' and 'x' have no load in common that can be compared: A has concurrency "
                "1; concurrency 8; concurrency 16; concurrency 64, B has concurrency 3"));
}

TEST(CompareRunsTest, WhatBNeverDoesWithoutFailuresCounts) {
  SweepReport a, b;
  AddRun(8, 1, 100, 20, a);
  AddRun(8, 1, 100, 20, b).mutable_regatta()->set_failed_requests(3);
  EXPECT_EQ(Compare(a, b).failed_runs_b(), 1u);
  EXPECT_EQ(Compare(b, a).failed_runs_b(), 0u);
}

// A run of an experiment over layouts, in `round` of halving (0 = in full).
PointReport& AddArmRun(const std::string& layout, const std::string& dtype, uint32_t concurrency,
                       uint32_t round, double throughput, SweepReport& sweep) {
  PointReport& run = AddRun(concurrency, 1, throughput, 20, sweep);
  run.mutable_regatta()->set_layout(layout);
  run.mutable_regatta()->set_halving_round(round);
  run.mutable_regatta()->set_issued_requests(round == 0 ? 80 : 20);
  run.mutable_engine()->set_dtype(dtype);
  return run;
}

// tp2 in bf16 and fp32 and dp2 in bf16 swept, pp2 dropped in the first round.
SweepReport Experiment(double speed) {
  SweepReport sweep;
  for (const uint32_t users : {1, 8}) {
    AddArmRun("tp2", "bf16", users, 1, 7 * speed, sweep);
    AddArmRun("pp2", "bf16", users, 1, 3 * speed, sweep);
    AddArmRun("tp2", "bf16", users, 0, 20 * users * speed, sweep);
    AddArmRun("dp2", "bf16", users, 0, 40 * users, sweep);
    AddArmRun("tp2", "fp32", users, 0, 10 * users, sweep);
  }
  return sweep;
}

std::vector<std::string> LoadsOf(const Comparison& comparison) {
  std::vector<std::string> loads;
  for (const ComparedLoad& load : comparison.loads()) loads.push_back(load.load());
  return loads;
}

TEST(CompareRunsTest, LayoutsAndPrecisionsAreHeldAgainstThemselves) {
  const Comparison comparison = Compare(Experiment(1), Experiment(1.1));
  EXPECT_THAT(
      LoadsOf(comparison),
      ElementsAre("dp2 bf16, concurrency 1", "dp2 bf16, concurrency 8",
                  "pp2 bf16 in round 1 of halving, concurrency 1",
                  "pp2 bf16 in round 1 of halving, concurrency 8", "tp2 bf16, concurrency 1",
                  "tp2 bf16, concurrency 8", "tp2 fp32, concurrency 1", "tp2 fp32, concurrency 8",
                  "dp2 bf16, all loads", "pp2 bf16 in round 1 of halving, all loads",
                  "tp2 bf16, all loads", "tp2 fp32, all loads"));
  for (const ComparedLoad& load : comparison.loads()) {
    const bool changed = load.load().find("pp2") == 0 || load.load().find("tp2 bf16") == 0;
    EXPECT_NEAR(FigureOf(load, "output_throughput").ratio(), changed ? 1.1 : 1, 1e-9)
        << load.load();
    EXPECT_EQ(load.runs_a(), 1u);
  }
  EXPECT_THAT(comparison.not_compared(), ElementsAre("2 runs of A in other rounds of halving",
                                                     "2 runs of B in other rounds of halving"));
  EXPECT_THAT(ComparisonText(comparison, false), Not(HasSubstr("layout:")));
  const std::string svg = ForestPlot(comparison);
  EXPECT_THAT(svg, HasSubstr(">tp2 fp32, all loads</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("concurrency 8")));
}

TEST(CompareRunsTest, ALayoutMeetsThatOfAnExperiment) {
  SweepReport one;
  AddArmRun("tp2", "bf16", 8, 0, 80, one);
  const Comparison comparison = Compare(Experiment(1), one);
  EXPECT_THAT(LoadsOf(comparison), ElementsAre("tp2 bf16, concurrency 8"));
  EXPECT_DOUBLE_EQ(FigureOf(comparison.loads(0), "output_throughput").ratio(), 0.5);
  EXPECT_THAT(
      comparison.not_compared(),
      ElementsAre("dp2 bf16: only A measured it", "pp2 bf16: only A measured it",
                  "tp2 bf16, concurrency 1: only A measured it", "tp2 fp32: only A measured it",
                  "2 runs of A in other rounds of halving"));
  SweepReport other;
  AddArmRun("tp4", "bf16", 8, 0, 80, other);
  const absl::Status nothing = CompareRuns({"a", Experiment(1)}, {"b", other}, {}).status();
  EXPECT_THAT(std::string(nothing.message()), HasSubstr("A has dp2 bf16; pp2 bf16; tp2 bf16; tp2 "
                                                        "fp32, B has tp4 bf16"));
  // Systems of one layout each are what is compared, whichever these are.
  EXPECT_THAT(LoadsOf(Compare(one, other)), ElementsAre("concurrency 8"));
}

TEST(CompareRunsTest, ALayoutThatOneDroppedIsComparedInTheRoundThatBothMeasured) {
  SweepReport a = Experiment(1), b = Experiment(1);
  AddArmRun("pp2", "bf16", 8, 2, 5, b);
  AddArmRun("pp2", "bf16", 8, 0, 90, b);
  AddArmRun("pp4", "bf16", 8, 0, 90, a);
  AddArmRun("pp4", "bf16", 8, 1, 90, b);
  const Comparison comparison = Compare(a, b);
  EXPECT_EQ(comparison.loads(3).load(), "pp2 bf16 in round 1 of halving, concurrency 8");
  EXPECT_DOUBLE_EQ(FigureOf(comparison.loads(3), "output_throughput").ratio(), 1);
  EXPECT_THAT(comparison.not_compared(),
              ElementsAre("pp4 bf16: A has it in full, B in round 1 of halving alone",
                          "2 runs of A in other rounds of halving",
                          "1 run of B in full, of layouts that the other dropped early",
                          "3 runs of B in other rounds of halving"));
}

TEST(CompareRunsTest, RunsUnderOtherLimitsAndCutOffOnesAreLeftOut) {
  SweepReport a = Drifting(1), b = Drifting(1);
  AddRun(8, 6, 900, 20, a).mutable_regatta()->set_search_role("tuned");
  AddRun(8, 0, 900, 20, a).mutable_regatta()->set_search_role("too-short");
  AddRun(8, 6, 1, 20, b);
  b.mutable_journal()->set_whole_points(10);
  const Comparison comparison = Compare(a, b);
  EXPECT_EQ(comparison.loads(1).runs_a(), 5u);
  EXPECT_EQ(comparison.loads(1).runs_b(), 5u);
  EXPECT_NEAR(FigureOf(comparison.loads(1), "output_throughput").ratio(), 1, 1e-9);
  EXPECT_THAT(comparison.not_compared(), ElementsAre(HasSubstr("1 run of A too short to tell"),
                                                     "1 run of A under tuned limits",
                                                     "1 run of B cut off while it was measured"));
}

TEST(CompareRunsTest, RunsOfOtherLengthsAreSaid) {
  SweepReport a, b;
  AddRun(8, 1, 100, 20, a).mutable_regatta()->set_issued_requests(80);
  AddRun(8, 1, 100, 20, b).mutable_regatta()->set_issued_requests(800);
  EXPECT_THAT(ComparisonText(Compare(a, b), false),
              HasSubstr("a run sent 80 requests in A, 800 in B"));
}

// Gates are about what users wait.
TEST(CompareRunsTest, OfARateLatenciesAreFromWhenDue) {
  PointReport point;
  point.mutable_streaming_metrics()->mutable_ttft_percentiles()->set_p95(6);
  point.mutable_performance()->set_avg_request_latency_ms(25);
  RegattaInfo& info = *point.mutable_regatta();
  info.mutable_ttft_scheduled_ms()->set_p95(163);
  info.mutable_latency_scheduled_ms()->set_average(180);
  EXPECT_EQ(FindComparedMetric("p95_ttft")->of(point), 6);
  EXPECT_EQ(FindComparedMetric("mean_latency")->of(point), 25);
  info.mutable_load()->set_request_rate(40);
  EXPECT_EQ(FindComparedMetric("p95_ttft")->of(point), 163);
  EXPECT_EQ(FindComparedMetric("mean_latency")->of(point), 180);
}

TEST(CompareRunsTest, ZeroHasNoRatio) {
  SweepReport a = Drifting(1), b = Drifting(1);
  a.mutable_runs(0)->mutable_regatta()->mutable_goodput()->set_request_goodput_req_s(2);
  const ComparedFigure figure = FigureOf(Compare(a, b).loads(0), "goodput");
  EXPECT_EQ(figure.verdict(), VERDICT_NO_RATIO);
  EXPECT_DOUBLE_EQ(figure.a(), 0.4);
  EXPECT_EQ(FigureOf(Compare(a, b).loads(1), "goodput").metric(), "");  // of neither
  EXPECT_EQ(Compare(a, b, {"goodput<-5%"}).gates(0).unjudged(), "zero in some run");
}

TEST(CompareRunsTest, GatesAreJudgedTogetherAtEachLoad) {
  SweepReport a = Drifting(1), b = Drifting(0.95);
  Interleave("x", a);
  Interleave("x", b);
  const Comparison comparison =
      Compare(a, b, {"output_throughput<-3%", "p95_ttft>+5%", "output_throughput<-5%"});
  ASSERT_EQ(comparison.gates_size(), 6);
  EXPECT_EQ(comparison.gates(0).outcome(), GATE_HOLDS);
  EXPECT_EQ(comparison.gates(2).outcome(), GATE_EXCLUDED);
  EXPECT_EQ(comparison.gates(4).outcome(), GATE_OPEN);
  EXPECT_NEAR(comparison.gates(0).confidence(), 1 - 0.05 / 6, 1e-12);
  const std::string text = ComparisonText(comparison, false);
  EXPECT_THAT(text, HasSubstr("output_throughput<-3%"));
  EXPECT_THAT(text, HasSubstr("HOLDS: failed"));
}

// A sweep of B that was cut short is no success.
TEST(CompareRunsTest, GatesAreNotJudgedWhereBDidNotMeasure) {
  const SweepReport a = Drifting(1);
  SweepReport b;
  for (const PointReport& run : a.runs()) {
    if (run.regatta().concurrency() == 1) *b.add_runs() = run;
  }
  const Comparison comparison = Compare(a, b, {"output_throughput<-50%", "p95_ttft>+50%"});
  ASSERT_EQ(comparison.gates_size(), 4);
  for (const int gate : {0, 2}) EXPECT_EQ(comparison.gates(gate).outcome(), GATE_EXCLUDED);
  for (const int gate : {1, 3}) {
    EXPECT_EQ(comparison.gates(gate).load(), "concurrency 8");
    EXPECT_EQ(comparison.gates(gate).outcome(), GATE_NOT_JUDGED);
  }
  EXPECT_EQ(Compare(b, a, {"output_throughput<-50%"}).gates_size(), 1) << "B may have more";
}

TEST(CompareRunsTest, GatesAreNotJudgedOfALayoutThatBLacks) {
  SweepReport a = Drifting(1), b = Drifting(1);
  for (PointReport& run : *a.mutable_runs()) run.mutable_regatta()->set_layout("tp2");
  b = a;
  AddRun(1, 1, 50, 20, a).mutable_regatta()->set_layout("dp2");
  const Comparison comparison = Compare(a, b, {"output_throughput<-50%"});
  ASSERT_EQ(comparison.gates_size(), 3);
  EXPECT_THAT(comparison.gates(2).load(), HasSubstr("dp2"));
  EXPECT_EQ(comparison.gates(2).outcome(), GATE_NOT_JUDGED);
}

// An imported table may have no p95 of TTFT, and never one of 0 ms; a goodput of 0 is one.
TEST(ComparisonTextTest, WhatOneSideDoesNotHaveIsNoZero) {
  SweepReport a, b;
  AddRun(8, 0, 100, 5, a).mutable_regatta()->mutable_goodput()->set_request_goodput_req_s(3);
  AddRun(8, 0, 100, 0, b);
  const std::string text = ComparisonText(Compare(a, b), false);
  EXPECT_THAT(text, ContainsRegex("p95_ttft +5 ms +- +- +- +not in B"));
  EXPECT_THAT(text, ContainsRegex("goodput +3 req/s +0 req/s"));
}

TEST(ComparisonTextTest, WarnsOfCaveatsAndEscapesMarkdown) {
  SweepReport a = Drifting(1), b = Drifting(1);
  a.mutable_environment()->set_driver("550");
  b.mutable_environment()->set_driver("580\x1b[2J");
  const Comparison comparison = Compare(a, b, {"p95_ttft<-5%"});
  const std::string text = ComparisonText(comparison, true);
  EXPECT_THAT(text, HasSubstr("not measured alike: driver is 550 in A, 580\xef\xbf\xbd[2J in B"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(ComparisonMarkdown(comparison, false), HasSubstr("| p95_ttft&lt;-5% |"));
}

TEST(ForestPlotTest, ShowsEveryLoadWithShapesThatTellVerdictsApart) {
  SweepReport a = Drifting(1), b = Drifting(0.95);
  Interleave("x", a);
  Interleave("x", b);
  const std::string svg = ForestPlot(Compare(a, b));
  EXPECT_THAT(svg, HasSubstr(">concurrency 8</text>"));
  EXPECT_THAT(svg, HasSubstr("class=\"worse\""));
  EXPECT_THAT(svg, HasSubstr("<circle class=\"other\""));
  EXPECT_THAT(svg, Not(HasSubstr("class=\"better\"")));
  EXPECT_THAT(svg, HasSubstr(">-4.8 %</text>"));  // the grid is of ratios: 1 / 1.05
}

// TTFT p95 of 6 ms from when requests were sent and, where `due`, of 163 ms from when they were
// due.
SweepReport AtARate(bool due) {
  SweepReport sweep;
  for (uint32_t repeat = 1; repeat <= 5; ++repeat) {
    PointReport& run = AddRun(1, repeat, 50, 6, sweep);
    run.mutable_performance()->set_avg_request_latency_ms(20);
    RegattaInfo& info = *run.mutable_regatta();
    info.mutable_load()->set_request_rate(40);
    if (!due) continue;
    info.mutable_latency_scheduled_ms()->set_average(177);
    info.mutable_ttft_scheduled_ms()->set_p95(163);
  }
  return sweep;
}

TEST(CompareRunsTest, LatenciesAreFromWhenSentWhereOneSideDoesNotKnowTheSchedule) {
  const Comparison both = Compare(AtARate(true), AtARate(true));
  EXPECT_NEAR(FigureOf(both.loads(0), "p95_ttft").a(), 163, 1e-9);
  EXPECT_NEAR(FigureOf(both.loads(0), "mean_latency").a(), 177, 1e-9);
  for (const bool due : {true, false}) {
    const Comparison one = Compare(AtARate(due), AtARate(!due), {"p95_ttft<-10%", "p95_ttft>+10%"});
    for (const auto& [metric, ms] : {std::pair("p95_ttft", 6.0), std::pair("mean_latency", 20.0)}) {
      EXPECT_NEAR(FigureOf(one.loads(0), metric).a(), ms, 1e-9);
      EXPECT_NEAR(FigureOf(one.loads(0), metric).b(), ms, 1e-9);
    }
    for (const GateFinding& gate : one.gates()) EXPECT_EQ(gate.outcome(), GATE_EXCLUDED);
    EXPECT_THAT(ComparisonText(one, false),
                HasSubstr("not measured alike: when requests were due"));
  }
}

}  // namespace
}  // namespace regatta
