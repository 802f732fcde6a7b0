// Rows and winners; see equal_speed.h.
#include "orchestrator/partition/equal_speed.h"

#include <string>

#include "orchestrator/partition/speed_frontier.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/point_series.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/users_at_speed.h"

namespace regatta {
namespace {

// The points of one layout and precision.
struct Contender {
  std::string layout, precision;
  SweepReport points;
  SpeedFrontier frontier;
};

Contender MakeContender(const PointSeries& series) {
  const PointReport& first = *series.points.front();
  Contender contender = {first.regatta().layout(), PrecisionOf(first), {}, SpeedFrontier({})};
  std::vector<SpeedPoint> measured;
  for (const PointReport* point : series.points) {
    *contender.points.add_points() = *point;
    if (!IsSound(*point) || !point->regatta().layout_change().empty()) continue;
    measured.push_back({UserSpeed(*point), GpuThroughput(*point)});
  }
  contender.frontier = SpeedFrontier(std::move(measured));
  return contender;
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

SpeedRow RowAt(double speed, double max_ttft_ms, const std::vector<Contender>& contenders) {
  SpeedRow row;
  row.set_speed_tok_s(speed);
  double best = 0;
  for (const Contender& contender : contenders) {
    const ThroughputAtSpeed at = contender.frontier.At(speed);
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
    contenders.push_back(MakeContender(series));
  }
  PartitionReport& partition = *sweep.mutable_partition();
  partition.clear_speeds();
  partition.clear_winners();
  for (const double speed : user_speeds) {
    *partition.add_speeds() = RowAt(speed, max_ttft_ms, contenders);
  }
  std::vector<SpeedFrontier> frontiers;
  for (const Contender& contender : contenders) frontiers.push_back(contender.frontier);
  for (const SpeedRange& range : WinnersBySpeed(frontiers)) {
    WinnerRange& winner = *partition.add_winners();
    winner.set_from_tok_s(range.from);
    winner.set_to_tok_s(range.to);
    winner.set_open(range.open);
    winner.set_layout(contenders[range.winner].layout);
    winner.set_precision(contenders[range.winner].precision);
  }
}

}  // namespace regatta
