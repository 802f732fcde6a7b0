// The flow of an experiment on a pool that only pretends: which layouts are measured how often, and
// what becomes of those that fail.
#include "orchestrator/partition/partition_experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/layout.h"
#include "orchestrator/partition/equal_speed.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Layouts of known speed: users get fastest / (1 + concurrency / knee).
struct Law {
  double fastest = 0, knee = 0;
};

class PretendedPool final : public PartitionBench {
 public:
  explicit PretendedPool(std::map<std::string, Law> laws) : laws_(std::move(laws)) {}

  absl::StatusOr<double> Form(const Candidate& candidate) override {
    const std::string name = CandidateName(candidate);
    formed.push_back(name);
    if (no_form.count(name) > 0) return absl::AbortedError("rank 1 does not answer");
    return 1.5;
  }

  absl::Status Measure(const Candidate& candidate, const ExperimentStage& stage,
                       const PlannedLoad& load, absl::Span<const PlannedLoad>) override {
    const LoadPoint& point = load.point;
    const std::string name = CandidateName(candidate);
    if (stop_at == name) stop = true;
    if (stop) return absl::OkStatus();
    if (dies == name && stage.round == 0 && deaths > 0) {
      --deaths;
      return absl::UnavailableError("worker 2 was killed\nregatta-worker: its last words");
    }
    const Law& law = laws_.at(name);
    const double slower = stage.round == 0 && drifts == name ? drift : 1;
    const double speed = slower * law.fastest / (1 + point.concurrency / law.knee);
    PointReport& report = *sweep_.add_runs();
    report.mutable_regatta()->set_repeat(load.repeat);
    report.mutable_regatta()->set_layout(LayoutName(candidate.layout));
    report.mutable_regatta()->set_precision(candidate.precision.name);
    report.mutable_regatta()->set_halving_round(stage.round);
    report.mutable_regatta()->set_concurrency(point.concurrency);
    report.mutable_request_info()->set_num_requests(point.requests);
    report.mutable_streaming_metrics()->set_token_output_speed_tok_s(speed);
    report.mutable_performance()->set_output_throughput_per_gpu_tok_s(speed * point.concurrency /
                                                                      4);
    report.mutable_performance()->set_system_output_throughput_tok_s(speed * point.concurrency);
    SummarizeRuns(sweep_);
    requests[absl::StrCat(name, " round ", stage.round)] += point.requests;
    titles.push_back(stage.title);
    return absl::OkStatus();
  }

  void Expect(std::vector<LoadPoint> loads, double forming_s) override {
    expected.emplace_back(loads.size(), forming_s);
  }

  absl::Status Usable() override { return usable; }

  SweepReport& sweep() override { return sweep_; }

  std::set<std::string> no_form;
  std::string dies, stop_at, drifts;
  int deaths = 1000;
  double drift = 1;  // of its speed, in the sweep
  std::atomic<bool> stop = false;
  absl::Status usable;
  std::vector<std::string> formed, titles;
  std::map<std::string, uint32_t> requests;
  std::vector<std::pair<size_t, double>> expected;  // loads, seconds of forming

 private:
  const std::map<std::string, Law> laws_;
  SweepReport sweep_;
};

// tp4 is the fastest for few, dp4 gives most to many, pp4 is behind both everywhere.
const std::map<std::string, Law> kLaws = {
    {"tp4", {200, 8}}, {"tp2-dp2", {150, 14}}, {"dp4", {100, 40}}, {"pp4", {60, 20}}};

class PartitionExperimentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    input_.pool = {4, "CPU ranks", 0, 0.9, true};
    for (const uint32_t concurrency : {1u, 4u, 16u, 64u, 256u}) {
      plan_.points.push_back({concurrency, 10 * concurrency});
    }
    for (const Layout& layout : Layouts()) candidates_.push_back({layout, Precision()});
  }

  static std::vector<Layout> Layouts() {
    const auto layouts = ParseLayouts("tp4,tp2-dp2,dp4,pp4", 4);
    EXPECT_TRUE(layouts.ok()) << layouts.status();
    return *layouts;
  }

  absl::Status Run(PretendedPool& pool) {
    DescribeCandidates(input_, candidates_, plan_, *pool.sweep().mutable_partition());
    return RunPartitionExperiment(
        plan_, candidates_, [this](const std::string& text) { said_ += text; }, pool.stop, pool);
  }

  std::map<std::string, std::string> Fates(PretendedPool& pool) {
    std::map<std::string, std::string> fates;
    for (const PartitionCandidate& candidate : pool.sweep().partition().candidates()) {
      fates[ContenderName(candidate.layout(), candidate.precision())] = candidate.fate();
    }
    return fates;
  }

  CandidateInput input_;
  ExperimentPlan plan_;
  std::vector<Candidate> candidates_;
  std::string said_;
};

TEST_F(PartitionExperimentTest, DropsWhatIsBestNowhereAndSweepsTheRest) {
  PretendedPool pool(kLaws);
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(Fates(pool)["pp4"], "dropped");
  EXPECT_EQ(Fates(pool)["tp4"], "swept");
  EXPECT_EQ(Fates(pool)["dp4"], "swept");
  // Round 1 of 2: a quarter of the requests at c=1, 16 and 256, and one for each user at least.
  EXPECT_EQ(pool.requests["pp4 round 1"], 2u + 40 + 640);
  EXPECT_EQ(pool.requests.count("pp4 round 2"), 0u);
  EXPECT_EQ(pool.requests["tp4 round 2"], (10u + 40 + 160 + 640 + 2560) / 2);
  EXPECT_EQ(pool.requests["tp4 round 0"], 10u + 40 + 160 + 640 + 2560);
  EXPECT_EQ(pool.titles.front(), "layout 1/4 tp4, round 1");
  EXPECT_THAT(said_, HasSubstr("ROUND 1"));
}

TEST_F(PartitionExperimentTest, ALayoutsPointsAreThoseOfItsLastStage) {
  PretendedPool pool(kLaws);
  ASSERT_TRUE(Run(pool).ok());
  std::map<std::string, std::vector<uint32_t>> rounds;
  for (const PointReport& point : pool.sweep().points()) {
    rounds[point.regatta().layout()].push_back(point.regatta().halving_round());
  }
  EXPECT_THAT(rounds["tp4"], ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(rounds["pp4"], ElementsAre(1, 1, 1));
  EXPECT_EQ(pool.sweep().points(0).regatta().halving_round(), 0u) << "swept ones come first";
}

TEST_F(PartitionExperimentTest, SaysWhichLayoutWinsAtWhichSpeed) {
  PretendedPool pool(kLaws);
  plan_.rounds = 0;
  plan_.user_speeds = {10, 50, 150, 1000};
  ASSERT_TRUE(Run(pool).ok());
  const PartitionReport& partition = pool.sweep().partition();
  ASSERT_GE(partition.winners_size(), 2);
  EXPECT_EQ(partition.winners(0).layout(), "dp4");
  EXPECT_EQ(partition.winners().rbegin()->layout(), "tp4");
  EXPECT_NEAR(partition.winners().rbegin()->to_tok_s(), 200 / (1 + 1 / 8.0), 1e-9);
  ASSERT_EQ(partition.speeds_size(), 4);
  EXPECT_EQ(partition.speeds(0).winner_layout(), "dp4");
  // At 10 tok/s only dp4 was loaded further than the others at that speed.
  EXPECT_EQ(partition.speeds(2).winner_layout(), "tp4");
  EXPECT_EQ(partition.speeds(3).winner_layout(), "");
  EXPECT_EQ(partition.speeds(3).cells(0).kind(), "not reached");
  const std::string text = EqualSpeedText(partition);
  EXPECT_THAT(text, HasSubstr("not reached"));
  EXPECT_THAT(text, HasSubstr("beyond 177.8    none was that fast"));
}

TEST_F(PartitionExperimentTest, WhatDoesNotFormIsRecordedAndTheRestGoesOn) {
  PretendedPool pool(kLaws);
  pool.no_form = {"tp2-dp2"};
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(Fates(pool)["tp2-dp2"], "failed");
  EXPECT_EQ(Fates(pool)["tp4"], "swept");
  EXPECT_THAT(CandidatesText(pool.sweep()), HasSubstr("failed: rank 1 does not answer"));
  EXPECT_THAT(said_, HasSubstr("! tp2-dp2 failed: rank 1 does not answer"));
  EXPECT_EQ(std::count(pool.formed.begin(), pool.formed.end(), "tp2-dp2"), 1);
}

TEST_F(PartitionExperimentTest, WhatDiesInItsSweepFails) {
  PretendedPool pool(kLaws);
  pool.dies = "dp4";
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(Fates(pool)["dp4"], "failed");
  EXPECT_EQ(Fates(pool)["tp4"], "swept");
}

TEST_F(PartitionExperimentTest, WhereNothingFormsTheFirstErrorIsTold) {
  PretendedPool pool(kLaws);
  pool.no_form = {"tp4", "tp2-dp2", "dp4", "pp4"};
  const absl::Status status = Run(pool);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("tp4: rank 1 does not answer"));
}

TEST_F(PartitionExperimentTest, WhatIsWrongForAllIsToldOnce) {
  PretendedPool pool(kLaws);
  pool.no_form = {"tp4"};
  pool.usable = absl::NotFoundError("--dataset: no such file");
  EXPECT_EQ(Run(pool), pool.usable);
  EXPECT_THAT(pool.formed, ElementsAre("tp4"));
}

TEST_F(PartitionExperimentTest, WhoseRankDiedOnceIsMeasuredOnceMore) {
  PretendedPool pool(kLaws);
  pool.dies = "tp4";
  pool.deaths = 1;
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(Fates(pool)["tp4"], "swept");
  EXPECT_THAT(said_, HasSubstr("! tp4: worker 2 was killed"));
  EXPECT_EQ(std::count(pool.formed.begin(), pool.formed.end(), "tp4"), 4)  // three stages
      << absl::StrJoin(pool.formed, " ");
  PretendedPool twice(kLaws);
  twice.dies = "tp4";
  twice.deaths = 2;
  ASSERT_TRUE(Run(twice).ok());
  EXPECT_EQ(Fates(twice)["tp4"], "failed");
  EXPECT_THAT(CandidatesText(twice.sweep()),
              AllOf(HasSubstr("failed: worker 2 was killed"), Not(HasSubstr("last words"))));
}

// A pool that is gone is no fault of the layout, which is tried again when the run goes on.
TEST_F(PartitionExperimentTest, WhereThePoolIsGoneNoLayoutFailed) {
  PretendedPool pool(kLaws);
  pool.dies = "tp4";
  pool.usable = absl::UnavailableError("the router at pool:9000 does not serve any more");
  EXPECT_EQ(Run(pool), pool.usable);
  EXPECT_EQ(Fates(pool)["tp4"], "");
  EXPECT_EQ(Fates(pool)["pp4"], "dropped");
}

TEST_F(PartitionExperimentTest, DriftBetweenARoundAndTheSweepIsToldWithBothFigures) {
  for (const double drift : {0.95, 0.8}) {
    PretendedPool pool(kLaws);
    pool.drifts = "dp4";
    pool.drift = drift;
    ASSERT_TRUE(Run(pool).ok());
    const std::string text = EqualSpeedText(pool.sweep().partition());
    if (drift > 0.9) {
      EXPECT_THAT(text, Not(HasSubstr("did not stay the same")));
      continue;
    }
    // 100 / (1 + 16 / 40) tok/s, measured in both rounds; nothing of the others.
    EXPECT_THAT(text, AllOf(HasSubstr("! the machine did not stay the same: "),
                            HasSubstr("dp4 at concurrency 16 had 71.4 tok/s per user in round 1, "
                                      "57.1 in the sweep (-20.0 %)"),
                            HasSubstr("in round 2, 57.1 in the sweep"), Not(HasSubstr("tp4 at"))));
  }
}

TEST_F(PartitionExperimentTest, AnInterruptionKeepsWhatThereIs) {
  PretendedPool pool(kLaws);
  pool.stop_at = "dp4";
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_THAT(pool.formed, ElementsAre("tp4", "tp2-dp2", "dp4"));
  EXPECT_EQ(Fates(pool)["dp4"], "");
  EXPECT_EQ(pool.sweep().points_size(), 6);
  EXPECT_GT(pool.sweep().partition().winners_size(), 0);
}

// The slower precision keeps its best layouts: the article's figure has both.
TEST_F(PartitionExperimentTest, PrecisionsDoNotCompete) {
  candidates_.clear();
  std::map<std::string, Law> laws;
  const auto precisions = ParsePrecisions("bf16,fp8");
  ASSERT_TRUE(precisions.ok());
  for (const Precision& precision : *precisions) {
    for (const Layout& layout : Layouts()) {
      candidates_.push_back({layout, precision});
      Law law = kLaws.at(LayoutName(layout));
      if (precision.name == "fp8") law.fastest *= 3;
      laws[CandidateName(candidates_.back())] = law;
    }
  }
  candidates_.push_back({candidates_[0].layout, Precision{"fp32"}, "does not fit"});
  PretendedPool pool(laws);
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(Fates(pool)["tp4 bf16"], "swept");
  EXPECT_EQ(Fates(pool)["tp4 fp8"], "swept");
  EXPECT_EQ(Fates(pool)["tp4 fp32"], "impossible");
  for (const WinnerRange& range : pool.sweep().partition().winners()) {
    EXPECT_EQ(range.precision(), "fp8");
  }
  // One after the other: a precision is another launch.
  EXPECT_THAT(pool.formed.front(), HasSubstr("bf16"));
  EXPECT_THAT(pool.formed.back(), HasSubstr("fp8"));
}

// Whenever it is killed: as if it had run to its end.
TEST_F(PartitionExperimentTest, GoesOnWhereItWasCutShort) {
  plan_.repeats = 2;
  PretendedPool whole(kLaws);
  ASSERT_TRUE(Run(whole).ok());
  const SweepReport& all = whole.sweep();
  ASSERT_GT(all.runs_size(), 20);
  for (int runs = 0; runs <= all.runs_size(); ++runs) {
    PretendedPool pool(kLaws);
    pool.sweep().mutable_runs()->Add(all.runs().begin(), all.runs().begin() + runs);
    pool.sweep().mutable_partition();
    SummarizeRuns(pool.sweep());
    ASSERT_TRUE(Run(pool).ok());
    pool.sweep().mutable_partition()->mutable_candidates()->CopyFrom(all.partition().candidates());
    ASSERT_TRUE(pool.sweep().SerializeAsString() == all.SerializeAsString()) << runs << " runs";
    if (runs == all.runs_size()) {
      EXPECT_THAT(pool.formed, ElementsAre());
    }
  }
}

TEST_F(PartitionExperimentTest, WhatHadFailedIsNotTriedAgain) {
  PretendedPool before(kLaws);
  before.dies = "tp4";
  ASSERT_TRUE(Run(before).ok());
  PretendedPool after(kLaws);
  after.sweep() = before.sweep();
  after.sweep().clear_partition();
  plan_.begun = before.sweep().partition();
  ASSERT_TRUE(Run(after).ok());
  EXPECT_THAT(after.formed, ElementsAre());
  EXPECT_EQ(Fates(after), Fates(before));
  EXPECT_EQ(Fates(after)["tp4"], "failed");
  EXPECT_THAT(CandidatesText(after.sweep()), HasSubstr("failed: worker 2 was killed"));
}

TEST_F(PartitionExperimentTest, RunsOfAnotherExperimentAreRefused) {
  PretendedPool pool(kLaws);
  pool.sweep().add_runs()->mutable_regatta()->set_layout("tp8");
  EXPECT_EQ(Run(pool).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(pool.formed, ElementsAre());
}

TEST_F(PartitionExperimentTest, TheSweepIsRepeatedInBlocksOfDrawnOrder) {
  plan_.repeats = 5;
  PretendedPool pool(kLaws);
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(pool.requests["tp4 round 0"], 5 * (10u + 40 + 160 + 640 + 2560));
  EXPECT_EQ(pool.requests["tp4 round 2"], (10u + 40 + 160 + 640 + 2560) / 2);
  uint32_t intervals = 0;
  for (const PointRepeats& repeats : pool.sweep().repeats()) {
    const bool dropped = Fates(pool)[repeats.layout()] == "dropped";
    EXPECT_EQ(repeats.runs(), dropped ? 1u : 5u) << repeats.layout();
    intervals += repeats.intervals_size() > 0;
  }
  EXPECT_GE(intervals, 10u);
}

TEST_F(PartitionExperimentTest, WhatIsExpectedShrinksToNothing) {
  PretendedPool pool(kLaws);
  ASSERT_TRUE(Run(pool).ok());
  // Behind the first of four: three rounds of three loads, two layouts swept over five, 1.5 s each.
  EXPECT_EQ(pool.expected.front(), std::make_pair(size_t{3 * 3 + 2 * 5}, 5 * 1.5));
  EXPECT_EQ(pool.expected.back(), std::make_pair(size_t{0}, 0.0));
}

TEST_F(PartitionExperimentTest, FewLayoutsAreSweptAtOnce) {
  candidates_.resize(2);
  PretendedPool pool(kLaws);
  ASSERT_TRUE(Run(pool).ok());
  EXPECT_EQ(pool.formed.size(), 2u);
  EXPECT_EQ(pool.sweep().partition().rounds_size(), 0);
}

TEST(EqualSpeed, PointsWithFailuresWinNothing) {
  SweepReport sweep;
  for (const uint32_t failed : {0u, 1u}) {
    PointReport& point = *sweep.add_points();
    point.mutable_regatta()->set_layout(failed > 0 ? "tp4" : "dp4");
    point.mutable_regatta()->set_failed_requests(failed);
    point.mutable_request_info()->set_num_requests(10);
    point.mutable_streaming_metrics()->set_token_output_speed_tok_s(50);
    point.mutable_performance()->set_output_throughput_per_gpu_tok_s(failed > 0 ? 900 : 100);
  }
  CompareAtEqualSpeed({30, 50}, 2000, sweep);
  EXPECT_EQ(sweep.partition().speeds(1).winner_layout(), "dp4");
  EXPECT_EQ(sweep.partition().speeds(1).cells(1).kind(), "not reached");
  EXPECT_EQ(sweep.partition().speeds(0).cells(0).kind(), "at least");
  EXPECT_THAT(EqualSpeedText(sweep.partition()), HasSubstr(">= 100.0"));
}

// Layout, and what its runs were measured at, all with one user.
SweepReport Measured(const std::map<std::string, std::vector<double>>& throughputs) {
  SweepReport sweep;
  sweep.mutable_partition();
  for (const auto& [layout, values] : throughputs) {
    for (size_t i = 0; i < values.size(); ++i) {
      PointReport& run = *sweep.add_runs();
      run.mutable_regatta()->set_layout(layout);
      run.mutable_regatta()->set_concurrency(1);
      run.mutable_regatta()->set_repeat(static_cast<uint32_t>(i + 1));
      run.mutable_request_info()->set_num_requests(10);
      run.mutable_streaming_metrics()->set_token_output_speed_tok_s(50);
      run.mutable_performance()->set_output_throughput_per_gpu_tok_s(values[i]);
      run.mutable_performance()->set_system_output_throughput_tok_s(values[i]);
    }
  }
  SummarizeRuns(sweep);
  CompareAtEqualSpeed({50}, 2000, sweep);
  return sweep;
}

TEST(EqualSpeed, MostRunsDecideHowManyUsersAreServed) {
  SweepReport sweep = Measured({{"dp4", {90, 100, 110}}});
  for (PointReport& run : *sweep.mutable_runs()) {
    run.mutable_regatta()->set_p5_user_speed_tok_s(50);
    run.mutable_regatta()->set_mean_running(1);
  }
  const auto users = [&] {
    SummarizeRuns(sweep);
    CompareAtEqualSpeed({50}, 2000, sweep);
    return sweep.partition().speeds(0).cells(0).users();
  };
  EXPECT_EQ(users(), 1u);
  for (const int slow : {0, 2}) {  // the one with the median throughput is not
    sweep.mutable_runs(slow)->mutable_regatta()->set_p5_user_speed_tok_s(40);
  }
  EXPECT_EQ(users(), 0u);
}

TEST(EqualSpeed, ALeadWithinTheIntervalsIsSaidToBeNoise) {
  const std::vector<double> wide = {90, 95, 100, 105, 110}, steady = {89, 89.1, 89.2, 89.1, 89};
  const PartitionReport close =
      Measured({{"dp4", wide}, {"tp4", {97, 97, 97, 97, 97}}}).partition();
  EXPECT_EQ(close.speeds(0).winner_layout(), "dp4");
  EXPECT_TRUE(close.speeds(0).within_noise());
  EXPECT_TRUE(close.winners(0).within_noise());
  EXPECT_THAT(EqualSpeedText(close),
              AllOf(HasSubstr("* within noise"), HasSubstr("dp4 (within noise)")));
  EXPECT_THAT(close.notes(), ElementsAre()) << "five runs have intervals";
  const PartitionReport clear = Measured({{"dp4", wide}, {"tp4", steady}}).partition();
  EXPECT_EQ(clear.speeds(0).winner_layout(), "dp4");
  EXPECT_FALSE(clear.speeds(0).within_noise());
  EXPECT_THAT(EqualSpeedText(clear), Not(HasSubstr("noise")));
}

TEST(EqualSpeed, FewRunsAreSaidToBeIndicative) {
  const SweepReport single = Measured({{"dp4", {100}}, {"tp4", {99, 98, 97, 96, 95}}});
  EXPECT_THAT(EqualSpeedText(single.partition()),
              HasSubstr("! single runs: differences are indicative"));
  const SweepReport few = Measured({{"dp4", {100, 101}}, {"tp4", {99, 98}}});
  EXPECT_THAT(EqualSpeedText(few.partition()),
              HasSubstr("! fewer than 5 runs of some points: differences are indicative"));
}

TEST(EqualSpeed, WhatTheClientSlowedIsMarkedAndLosesToNobody) {
  SweepReport sweep = Measured({{"dp4", {100}}, {"tp4", {80}}});
  EXPECT_FALSE(sweep.partition().speeds(0).open());
  sweep.mutable_points(1)->mutable_regatta()->mutable_client()->set_bound(true);
  CompareAtEqualSpeed({50}, 2000, sweep);
  EXPECT_TRUE(sweep.partition().speeds(0).open());
  EXPECT_TRUE(sweep.partition().winners(0).open());
  EXPECT_EQ(sweep.partition().speeds(0).cells(1).kind(), "at least");
  EXPECT_THAT(EqualSpeedText(sweep.partition()),
              AllOf(HasSubstr(">= 80.0"), HasSubstr("the client slowed tp4 at concurrency 1")));
}

}  // namespace
}  // namespace regatta
