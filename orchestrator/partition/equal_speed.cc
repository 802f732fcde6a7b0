// Rows and winners; see equal_speed.h.
#include "orchestrator/partition/equal_speed.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/partition/round_drift.h"
#include "orchestrator/partition/speed_frontier.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/report/point_series.h"
#include "orchestrator/statistics/intervals.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/users_at_speed.h"

namespace regatta {
namespace {

// The points of one layout and precision.
struct Contender {
  std::string layout, precision;
  SweepReport points;                           // with the runs that they are made of
  std::vector<SpeedPoint> measured, low, high;  // as the median run has it, and by intervals
  uint32_t fewest_runs = kRunsForIntervals;     // without failures, of a measured point
  std::vector<std::string> client_bound;        // names of loads
};

// The end of an interval, where `repeats` has one that says more than `value`.
double EndOf(const PointRepeats& repeats, const char* metric, bool high, double value) {
  const Interval* const interval = FindInterval(repeats.intervals(), metric);
  if (interval == nullptr) return value;
  return high ? std::max(value, interval->high()) : std::min(value, interval->low());
}

SpeedPoint AtEnd(const PointRepeats& repeats, bool high, const SpeedPoint& point) {
  return {EndOf(repeats, "user_speed_tok_s", high, point.speed),
          EndOf(repeats, "output_throughput_per_gpu_tok_s", high, point.throughput),
          point.at_least};
}

PointRepeats RepeatsOf(const PointReport& point, const SweepReport& sweep) {
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (IsOf(repeats, point)) return repeats;
  }
  PointRepeats single;
  single.set_runs(1);
  return single;
}

Contender MakeContender(const PointSeries& series, const SweepReport& sweep) {
  const PointReport& first = *series.points.front();
  Contender contender;
  contender.layout = first.regatta().layout();
  contender.precision = PrecisionOf(first);
  for (const PointReport* point : series.points) {
    *contender.points.add_points() = *point;
    for (const PointReport* run : RunsOfPoint(sweep, *point)) *contender.points.add_runs() = *run;
    if (!IsSound(*point) || !point->regatta().layout_change().empty()) continue;
    const bool bound = point->regatta().client().bound();
    if (bound) contender.client_bound.push_back(LoadName(LoadOf(point->regatta())));
    const SpeedPoint middle = {UserSpeed(*point), GpuThroughput(*point), bound};
    const PointRepeats repeats = RepeatsOf(*point, sweep);
    contender.measured.push_back(middle);
    contender.low.push_back(AtEnd(repeats, /*high=*/false, middle));
    contender.high.push_back(AtEnd(repeats, /*high=*/true, middle));
    contender.fewest_runs = std::min(contender.fewest_runs, repeats.runs() - repeats.failed_runs());
  }
  return contender;
}

// What a reader must know before a winner is believed.
void NoteDoubts(const std::vector<Contender>& contenders, PartitionReport& partition) {
  uint32_t fewest = kRunsForIntervals;
  std::vector<std::string> bound;
  for (const Contender& contender : contenders) {
    fewest = std::min(fewest, contender.fewest_runs);
    if (contender.client_bound.empty()) continue;
    bound.push_back(absl::StrCat(ContenderName(contender.layout, contender.precision), " at ",
                                 absl::StrJoin(contender.client_bound, ", ")));
  }
  if (fewest <= 1) {
    partition.add_notes("single runs: differences are indicative (--repeats 5 gives intervals)");
  } else if (fewest < kRunsForIntervals) {
    partition.add_notes(absl::StrCat("fewer than ", kRunsForIntervals,
                                     " runs of some points: differences are indicative"));
  }
  if (!bound.empty()) {
    partition.add_notes(absl::StrCat("the client slowed ", absl::StrJoin(bound, "; "),
                                     ": at least what is shown, and no winner over it is certain"));
  }
}

const char* NameOf(ThroughputAtSpeed::Kind kind) {
  switch (kind) {
    case ThroughputAtSpeed::kMeasured:
      return "measured";
    case ThroughputAtSpeed::kAtLeast:
      return "at least";
    case ThroughputAtSpeed::kNotReached:
      break;
  }
  return "not reached";
}

// The curves of all contenders, in their order.
struct Curves {
  std::vector<SpeedFrontier> frontiers;
  std::vector<FrontierBand> bands;
};

Curves CurvesOf(const std::vector<Contender>& contenders) {
  Curves curves;
  for (const Contender& contender : contenders) {
    curves.frontiers.emplace_back(contender.measured);
    curves.bands.push_back({SpeedFrontier(contender.low), SpeedFrontier(contender.high)});
  }
  return curves;
}

SpeedRow RowAt(double speed, double max_ttft_ms, const std::vector<Contender>& contenders,
               const Curves& curves) {
  SpeedRow row;
  row.set_speed_tok_s(speed);
  double best = 0;
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Contender& contender = contenders[i];
    const ThroughputAtSpeed at = curves.frontiers[i].At(speed);
    SpeedCell& cell = *row.add_cells();
    cell.set_layout(contender.layout);
    cell.set_precision(contender.precision);
    cell.set_kind(NameOf(at.kind));
    cell.set_output_throughput_per_gpu_tok_s(at.throughput);
    cell.set_users(FindUsersAtSpeed(contender.points, speed, max_ttft_ms).users());
    if (at.throughput <= best) continue;
    best = at.throughput;
    row.set_winner_layout(contender.layout);
    row.set_winner_precision(contender.precision);
    row.set_within_noise(WithinNoise(curves.bands, i, speed));
  }
  for (const SpeedCell& cell : row.cells()) {
    const bool wins =
        cell.layout() == row.winner_layout() && cell.precision() == row.winner_precision();
    if (cell.kind() == "at least" && !wins) row.set_open(true);
  }
  return row;
}

}  // namespace

void CompareAtEqualSpeed(const std::vector<double>& user_speeds, double max_ttft_ms,
                         SweepReport& sweep) {
  ReportedRun run;
  run.sweep = sweep;
  std::vector<Contender> contenders;
  for (const PointSeries& series : SeriesInFull({&run, 1})) {
    contenders.push_back(MakeContender(series, sweep));
  }
  const Curves curves = CurvesOf(contenders);
  PartitionReport& partition = *sweep.mutable_partition();
  partition.clear_speeds();
  partition.clear_winners();
  partition.clear_notes();
  for (const double speed : user_speeds) {
    *partition.add_speeds() = RowAt(speed, max_ttft_ms, contenders, curves);
  }
  for (const SpeedRange& range : WinnersBySpeed(curves.frontiers, curves.bands)) {
    WinnerRange& winner = *partition.add_winners();
    winner.set_from_tok_s(range.from);
    winner.set_to_tok_s(range.to);
    winner.set_open(range.open);
    winner.set_within_noise(range.within_noise);
    winner.set_layout(contenders[range.winner].layout);
    winner.set_precision(contenders[range.winner].precision);
  }
  NoteDoubts(contenders, partition);
  if (const std::string drift = RoundDrift(sweep); !drift.empty()) partition.add_notes(drift);
}

}  // namespace regatta
