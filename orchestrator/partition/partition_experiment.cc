// Rounds, sweeps, fates; see partition_experiment.h.
#include "orchestrator/partition/partition_experiment.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "common/layout.h"
#include "orchestrator/benchmark/run_order.h"
#include "orchestrator/partition/device_speed.h"
#include "orchestrator/partition/equal_speed.h"
#include "orchestrator/partition/experiment_forecast.h"
#include "orchestrator/partition/successive_halving.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

bool IsOf(const PointReport& point, const Candidate& candidate) {
  return point.regatta().layout() == LayoutName(candidate.layout) &&
         point.regatta().precision() == candidate.precision.name;
}

class Experiment {
 public:
  Experiment(const ExperimentPlan& plan, const std::vector<Candidate>& candidates,
             const std::function<void(const std::string&)>& say, const std::atomic<bool>& stop,
             PartitionBench& bench)
      : plan_(plan), candidates_(candidates), say_(say), stop_(stop), bench_(bench) {}

  absl::Status Run();

 private:
  using Arms = std::vector<size_t>;  // indices of candidates

  void RunPrecision(Arms arms);
  Arms RunRound(const Arms& arms, uint32_t round);
  Arms Judge(const Arms& arms, uint32_t round);
  // Nothing more can or shall be measured.
  bool over() const { return stop_.load() || !unusable_.ok(); }
  // Forms one layout and measures `loads` there; false once it failed or all is over.
  bool MeasureArm(const Arms& arms, size_t place, const std::vector<PlannedLoad>& loads,
                  const ExperimentStage& stage);
  bool FailedBefore(size_t arm) const;
  // Loads that an experiment which was cut short measured here are taken from `left`.
  void TakeRecorded(const Candidate& candidate, const ExperimentStage& stage,
                    absl::Span<const PlannedLoad>& left);
  absl::Status MeasureAgain(const Candidate& candidate, const ExperimentStage& stage,
                            absl::Span<const PlannedLoad> loads, const absl::Status& failed);
  absl::Status FormAndMeasure(size_t arm, absl::Span<const PlannedLoad> loads,
                              const ExperimentStage& stage);
  std::vector<PlannedLoad> LoadsOfSweep() const;
  void Forecast(size_t arm, const ExperimentStage& stage);
  std::string TitleOf(const Arms& arms, size_t place, const std::string& stage) const;
  void OrderPoints();
  std::vector<const PointReport*> RunsIn(uint32_t round, const Candidate& candidate) const;
  std::vector<SpeedPoint> MeasuredIn(uint32_t round, const Candidate& candidate) const;
  void SetFate(size_t arm, const char* fate, const std::string& reason);
  PartitionCandidate& Entry(size_t arm) {
    return *partition().mutable_candidates(static_cast<int>(arm));
  }
  PartitionReport& partition() { return *bench_.sweep().mutable_partition(); }

  const ExperimentPlan& plan_;
  const std::vector<Candidate>& candidates_;
  const std::function<void(const std::string&)>& say_;
  const std::atomic<bool>& stop_;
  PartitionBench& bench_;
  const int recorded_ = bench_.sweep().runs_size();
  int taken_ = 0;                  // of those
  size_t arms_ = 0, waiting_ = 0;  // of the stage under way, in all and still to be measured
  std::string first_error_;
  absl::Status unusable_;
};

absl::Status Experiment::Run() {
  for (size_t begin = 0; begin < candidates_.size() && !over();) {
    Arms arms;
    size_t end = begin;
    const std::string& precision = candidates_[begin].precision.name;
    while (end < candidates_.size() && candidates_[end].dropped.empty() &&
           candidates_[end].precision.name == precision) {
      arms.push_back(end++);
    }
    if (arms.empty()) break;  // the impossible ones come last
    RunPrecision(std::move(arms));
    begin = end;
  }
  OrderPoints();
  CompareAtEqualSpeed(plan_.user_speeds, plan_.max_ttft_ms, bench_.sweep());
  if (!unusable_.ok()) return unusable_;
  if (bench_.sweep().points_size() > 0 || stop_.load()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("no layout could be measured; the first error: ", first_error_));
}

void Experiment::RunPrecision(Arms arms) {
  for (uint32_t round = 0; round < plan_.rounds && arms.size() > kFewLayouts; ++round) {
    arms = RunRound(arms, round);
    if (over()) return;
  }
  for (size_t place = 0; place < arms.size() && !over(); ++place) {
    const ExperimentStage stage = {TitleOf(arms, place, "sweep"), 0};
    if (MeasureArm(arms, place, LoadsOfSweep(), stage)) SetFate(arms[place], "swept", "");
  }
}

Experiment::Arms Experiment::RunRound(const Arms& arms, uint32_t round) {
  const std::vector<PlannedLoad> loads = LoadsOfRound(plan_, round);
  Arms measured;
  for (size_t place = 0; place < arms.size() && !over(); ++place) {
    const ExperimentStage stage = {TitleOf(arms, place, absl::StrCat("round ", round + 1)),
                                   round + 1};
    if (MeasureArm(arms, place, loads, stage)) measured.push_back(arms[place]);
  }
  return over() || measured.empty() ? Arms() : Judge(measured, round);
}

Experiment::Arms Experiment::Judge(const Arms& arms, uint32_t round) {
  std::vector<SpeedFrontier> frontiers;
  for (const size_t arm : arms) frontiers.emplace_back(MeasuredIn(round, candidates_[arm]));
  const std::vector<double> shortfalls = Shortfalls(frontiers);
  const std::vector<bool> survives = Survivors(frontiers, plan_.margin);
  PartitionRound& record = *partition().add_rounds();
  record.set_round(round + 1);
  Arms left;
  for (size_t i = 0; i < arms.size(); ++i) {
    const Candidate& candidate = candidates_[arms[i]];
    record.set_precision(candidate.precision.name);
    RoundResult& result = *record.add_results();
    result.set_layout(LayoutName(candidate.layout));
    result.set_shortfall(shortfalls[i]);
    result.set_goes_on(survives[i]);
    result.set_client_bound(frontiers[i].client_bound());
    for (const PointReport* run : RunsIn(round, candidate)) {
      CandidateSpeed& measured = *result.add_measured();
      measured.set_concurrency(run->regatta().concurrency());
      measured.set_requests(run->request_info().num_requests());
      measured.set_user_speed_tok_s(UserSpeed(*run));
      measured.set_output_throughput_per_gpu_tok_s(GpuThroughput(*run));
    }
    if (survives[i]) {
      left.push_back(arms[i]);
    } else {
      SetFate(arms[i], "dropped",
              absl::StrFormat("in round %d at best %.0f %% below the others", round + 1,
                              shortfalls[i] * 100));
    }
  }
  say_(RoundText(record, plan_.margin));
  return left;
}

bool Experiment::MeasureArm(const Arms& arms, size_t place, const std::vector<PlannedLoad>& loads,
                            const ExperimentStage& stage) {
  const size_t arm = arms[place];
  const Candidate& candidate = candidates_[arm];
  absl::Span<const PlannedLoad> left(loads);
  TakeRecorded(candidate, stage, left);
  if (left.empty()) return true;
  if (FailedBefore(arm)) {
    SetFate(arm, "failed", plan_.begun.candidates(static_cast<int>(arm)).reason());
    return false;
  }
  if (taken_ < recorded_) {
    unusable_ = absl::DataLossError(absl::StrCat("of ", recorded_, " runs ", recorded_ - taken_,
                                                 " are not of this experiment"));
    return false;
  }
  say_(absl::StrCat(stage.title, "\n"));
  arms_ = arms.size();
  waiting_ = arms.size() - place - 1;
  const absl::Status status = FormAndMeasure(arm, left, stage);
  if (stop_.load()) return false;
  if (status.ok()) return true;
  if (first_error_.empty()) {
    first_error_ = absl::StrCat(CandidateName(candidate), ": ", status.message());
  }
  unusable_ = bench_.Usable();
  if (!unusable_.ok()) return false;  // no fault of this layout, which may come again
  const std::pair<absl::string_view, absl::string_view> lines =
      absl::StrSplit(status.message(), absl::MaxSplits('\n', 1));
  SetFate(arm, "failed", std::string(lines.first));  // what follows are a log's last words
  say_(absl::StrCat("! ", CandidateName(candidate), " failed: ", status.message(), "\n"));
  return false;
}

void Experiment::TakeRecorded(const Candidate& candidate, const ExperimentStage& stage,
                              absl::Span<const PlannedLoad>& left) {
  for (; !left.empty() && taken_ < recorded_; ++taken_, left.remove_prefix(1)) {
    const PointReport& run = bench_.sweep().runs(taken_);
    const RegattaInfo& info = run.regatta();
    if (!IsOf(run, candidate) || info.halving_round() != stage.round ||
        info.concurrency() != left.front().point.concurrency ||
        info.repeat() != left.front().repeat) {
      return;
    }
  }
}

absl::Status Experiment::FormAndMeasure(size_t arm, absl::Span<const PlannedLoad> loads,
                                        const ExperimentStage& stage) {
  const Candidate& candidate = candidates_[arm];
  const absl::StatusOr<double> seconds = bench_.Form(candidate);
  if (!seconds.ok()) return seconds.status();
  Entry(arm).set_form_seconds(std::max(Entry(arm).form_seconds(), *seconds));
  Forecast(arm, stage);
  for (bool again = false; !loads.empty() && !stop_.load(); loads.remove_prefix(1)) {
    absl::Status status = bench_.Measure(candidate, stage, loads.front(), loads.subspan(1));
    if (!status.ok() && !std::exchange(again, true)) {
      status = MeasureAgain(candidate, stage, loads, status);
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// A process may have died of something else than its layout: formed anew, it is asked once more.
absl::Status Experiment::MeasureAgain(const Candidate& candidate, const ExperimentStage& stage,
                                      absl::Span<const PlannedLoad> loads,
                                      const absl::Status& failed) {
  if (stop_.load() || !bench_.Usable().ok()) return failed;
  say_(absl::StrCat("! ", CandidateName(candidate), ": ", failed.message(),
                    "\n  It is formed and measured once more.\n"));
  const absl::StatusOr<double> seconds = bench_.Form(candidate);
  if (!seconds.ok()) return seconds.status();
  return bench_.Measure(candidate, stage, loads.front(), loads.subspan(1));
}

bool Experiment::FailedBefore(size_t arm) const {
  const int index = static_cast<int>(arm);
  return index < plan_.begun.candidates_size() && plan_.begun.candidates(index).fate() == "failed";
}

// Tells the bench what probably follows the layout that was formed.
void Experiment::Forecast(size_t arm, const ExperimentStage& stage) {
  ExperimentAhead ahead;
  ahead.waiting = waiting_;
  ahead.arms = arms_;
  ahead.round = stage.round;
  std::vector<double> seconds;
  for (const PartitionCandidate& entry : partition().candidates()) {
    if (entry.form_seconds() > 0) seconds.push_back(entry.form_seconds());
  }
  for (size_t i = arm + 1; i < candidates_.size(); ++i) {
    const std::string& precision = candidates_[i].precision.name;
    if (!candidates_[i].dropped.empty() || precision == candidates_[arm].precision.name) continue;
    if (candidates_[i - 1].precision.name != precision) ahead.later.push_back(0);
    ++ahead.later.back();
  }
  const ExpectedLoads expected = ForecastExperiment(plan_, ahead);
  bench_.Expect(expected.loads, expected.formings * Mean(seconds));
}

std::vector<PlannedLoad> Experiment::LoadsOfSweep() const {
  std::vector<PlannedLoad> loads;
  for (const PlannedRun& run : DrawRunOrder(plan_.points.size(), plan_.repeats, plan_.seed)) {
    loads.push_back({plan_.points[run.point], run.repeat});
  }
  return loads;
}

std::string Experiment::TitleOf(const Arms& arms, size_t place, const std::string& stage) const {
  return absl::StrCat("layout ", place + 1, "/", arms.size(), " ",
                      CandidateName(candidates_[arms[place]]), ", ", stage);
}

// Layout by layout, those measured in full first, as reports list them.
void Experiment::OrderPoints() {
  auto& points = *bench_.sweep().mutable_points();
  const auto key = [this](const PointReport& point) {
    size_t arm = 0;
    while (arm < candidates_.size() && !IsOf(point, candidates_[arm])) ++arm;
    return std::make_tuple(point.regatta().halving_round() > 0, arm, point.regatta().concurrency());
  };
  std::stable_sort(points.begin(), points.end(),
                   [&](const PointReport& a, const PointReport& b) { return key(a) < key(b); });
}

// Of a round of halving, from 0 on.
std::vector<const PointReport*> Experiment::RunsIn(uint32_t round,
                                                   const Candidate& candidate) const {
  std::vector<const PointReport*> runs;
  for (const PointReport& run : bench_.sweep().runs()) {
    if (IsOf(run, candidate) && run.regatta().halving_round() == round + 1) runs.push_back(&run);
  }
  return runs;
}

std::vector<SpeedPoint> Experiment::MeasuredIn(uint32_t round, const Candidate& candidate) const {
  std::vector<SpeedPoint> measured;
  for (const PointReport* run : RunsIn(round, candidate)) {
    if (!IsSound(*run)) continue;
    measured.push_back({UserSpeed(*run), GpuThroughput(*run), run->regatta().client().bound()});
  }
  return measured;
}

void Experiment::SetFate(size_t arm, const char* fate, const std::string& reason) {
  Entry(arm).set_fate(fate);
  Entry(arm).set_reason(reason);
}

}  // namespace

void DescribeCandidates(const CandidateInput& input, const std::vector<Candidate>& candidates,
                        const ExperimentPlan& plan, PartitionReport& partition) {
  const DeviceSpeed device = DeviceSpeedOf(input.pool.device, input.pool.ranks);
  partition.set_ranks(input.pool.ranks);
  partition.set_prior_device(device.name);
  if (!device.known) {
    partition.set_prior_note(absl::StrCat("Those of '", input.pool.device, "' are not known here"));
  }
  partition.set_margin(plan.margin);
  for (const Candidate& candidate : candidates) {
    PartitionCandidate& entry = *partition.add_candidates();
    entry.set_layout(LayoutName(candidate.layout));
    entry.set_precision(candidate.precision.name);
    entry.set_idle_ranks(candidate.idle);
    if (!candidate.dropped.empty()) entry.set_fate("impossible");
    entry.set_reason(candidate.dropped);
    const int index = partition.candidates_size() - 1;
    if (index < plan.begun.candidates_size()) {
      entry.set_form_seconds(plan.begun.candidates(index).form_seconds());
    }
    for (size_t i = 0; i < candidate.prior.size(); ++i) {
      CandidateSpeed& prior = *entry.add_prior();
      prior.set_concurrency(input.concurrencies[i]);
      prior.set_user_speed_tok_s(candidate.prior[i].speed);
      prior.set_output_throughput_per_gpu_tok_s(candidate.prior[i].throughput);
    }
  }
}

absl::Status RunPartitionExperiment(const ExperimentPlan& plan,
                                    const std::vector<Candidate>& candidates,
                                    const std::function<void(const std::string&)>& say,
                                    const std::atomic<bool>& stop, PartitionBench& bench) {
  return Experiment(plan, candidates, say, stop, bench).Run();
}

}  // namespace regatta
