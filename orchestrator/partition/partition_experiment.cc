// Rounds, sweeps, fates; see partition_experiment.h.
#include "orchestrator/partition/partition_experiment.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "common/layout.h"
#include "orchestrator/partition/device_speed.h"
#include "orchestrator/partition/equal_speed.h"
#include "orchestrator/partition/successive_halving.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/partition_text.h"

namespace regatta {
namespace {

constexpr size_t kFewLayouts = 2;  // no round is worth its formings

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
  // Forms one layout and measures `points` there; false once it failed or all is over.
  bool MeasureArm(size_t arm, const std::vector<LoadPoint>& points, const ExperimentStage& stage);
  std::vector<LoadPoint> PointsOfRound(uint32_t round) const;
  std::string TitleOf(const Arms& arms, size_t place, const std::string& stage) const;
  void DropPointsOf(const Candidate& candidate);
  void OrderPoints();
  std::vector<SpeedPoint> MeasuredOf(const Candidate& candidate) const;
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
    if (MeasureArm(arms[place], plan_.points, stage)) SetFate(arms[place], "swept", "");
  }
}

Experiment::Arms Experiment::RunRound(const Arms& arms, uint32_t round) {
  const std::vector<LoadPoint> points = PointsOfRound(round);
  Arms measured;
  for (size_t place = 0; place < arms.size() && !over(); ++place) {
    const ExperimentStage stage = {TitleOf(arms, place, absl::StrCat("round ", round + 1)),
                                   round + 1};
    if (MeasureArm(arms[place], points, stage)) measured.push_back(arms[place]);
  }
  return over() || measured.empty() ? Arms() : Judge(measured, round);
}

Experiment::Arms Experiment::Judge(const Arms& arms, uint32_t round) {
  std::vector<SpeedFrontier> frontiers;
  for (const size_t arm : arms) frontiers.emplace_back(MeasuredOf(candidates_[arm]));
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
    for (const PointReport& point : bench_.sweep().points()) {
      if (!IsOf(point, candidate)) continue;
      CandidateSpeed& measured = *result.add_measured();
      measured.set_concurrency(point.regatta().concurrency());
      measured.set_requests(point.request_info().num_requests());
      measured.set_user_speed_tok_s(UserSpeed(point));
      measured.set_output_throughput_per_gpu_tok_s(GpuThroughput(point));
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

bool Experiment::MeasureArm(size_t arm, const std::vector<LoadPoint>& points,
                            const ExperimentStage& stage) {
  const Candidate& candidate = candidates_[arm];
  say_(absl::StrCat(stage.title, "\n"));
  const absl::StatusOr<double> seconds = bench_.Form(candidate);
  absl::Status status = seconds.status();
  if (status.ok()) {
    Entry(arm).set_form_seconds(std::max(Entry(arm).form_seconds(), *seconds));
    DropPointsOf(candidate);
  }
  absl::Span<const LoadPoint> left(points);
  for (; !left.empty() && status.ok() && !stop_.load(); left.remove_prefix(1)) {
    status = bench_.Measure(candidate, stage, left.front(), left.subspan(1));
  }
  if (stop_.load()) return false;
  if (status.ok()) return true;
  if (first_error_.empty()) {
    first_error_ = absl::StrCat(CandidateName(candidate), ": ", status.message());
  }
  unusable_ = bench_.Usable();
  SetFate(arm, "failed", std::string(status.message()));
  say_(absl::StrCat("! ", CandidateName(candidate), " failed: ", status.message(), "\n"));
  return false;
}

std::vector<LoadPoint> Experiment::PointsOfRound(uint32_t round) const {
  std::vector<LoadPoint> points;
  for (const size_t i : RoundPoints(plan_.points.size(), round)) {
    LoadPoint point = plan_.points[i];
    point.requests = RoundRequests(point.requests, point.concurrency, round, plan_.rounds);
    points.push_back(point);
  }
  return points;
}

std::string Experiment::TitleOf(const Arms& arms, size_t place, const std::string& stage) const {
  return absl::StrCat("layout ", place + 1, "/", arms.size(), " ",
                      CandidateName(candidates_[arms[place]]), ", ", stage);
}

// What it measures now says more than its points of an earlier round.
void Experiment::DropPointsOf(const Candidate& candidate) {
  auto& points = *bench_.sweep().mutable_points();
  points.erase(std::remove_if(points.begin(), points.end(),
                              [&](const PointReport& point) { return IsOf(point, candidate); }),
               points.end());
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

std::vector<SpeedPoint> Experiment::MeasuredOf(const Candidate& candidate) const {
  std::vector<SpeedPoint> measured;
  for (const PointReport& point : bench_.sweep().points()) {
    if (!IsOf(point, candidate) || !HasCompleted(point)) continue;
    if (point.regatta().failed_requests() > 0) continue;
    measured.push_back({UserSpeed(point), GpuThroughput(point)});
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
