// Curves over speed; see speed_frontier.h.
#include "orchestrator/partition/speed_frontier.h"

#include <algorithm>
#include <optional>

namespace regatta {
namespace {

double BestAt(const std::vector<SpeedFrontier>& frontiers, double speed) {
  double best = 0;
  for (const SpeedFrontier& frontier : frontiers) {
    best = std::max(best, frontier.At(speed).throughput);
  }
  return best;
}

// Who wins at a speed, as a span of no length; none where nobody is that fast.
std::optional<SpeedRange> WinnerAt(const std::vector<SpeedFrontier>& frontiers, double speed) {
  std::optional<SpeedRange> range;
  double best = 0;
  size_t bounds = 0;
  bool by_bound = false;
  for (size_t i = 0; i < frontiers.size(); ++i) {
    const ThroughputAtSpeed at = frontiers[i].At(speed);
    const bool bound = at.kind == ThroughputAtSpeed::kAtLeast;
    bounds += bound;
    if (at.throughput <= best) continue;
    best = at.throughput;
    by_bound = bound;
    range = SpeedRange{speed, speed, i};
  }
  if (range.has_value()) range->open = bounds > (by_bound ? 1 : 0);
  return range;
}

// Where the lines of two curves, straight between `from` and `to`, cross.
void AddCrossing(const SpeedFrontier& a, const SpeedFrontier& b, double from, double to,
                 std::vector<double>& cuts) {
  // The ends belong to other spans as well, and curves end there: look just inside.
  const double inset = (to - from) * 1e-6, left = from + inset, right = to - inset;
  const double at_left = a.At(left).throughput - b.At(left).throughput;
  const double at_right = a.At(right).throughput - b.At(right).throughput;
  if (at_left * at_right >= 0) return;
  cuts.push_back(left + (right - left) * at_left / (at_left - at_right));
}

// Speeds between which every curve is one straight line and no two cross.
std::vector<double> CutsOf(const std::vector<SpeedFrontier>& frontiers) {
  std::vector<double> ends = {0};
  for (const SpeedFrontier& frontier : frontiers) {
    for (const SpeedPoint& point : frontier.points()) ends.push_back(point.speed);
  }
  std::sort(ends.begin(), ends.end());
  std::vector<double> cuts = ends;
  for (size_t e = 1; e < ends.size(); ++e) {
    if (ends[e] <= ends[e - 1]) continue;
    for (size_t i = 0; i < frontiers.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        AddCrossing(frontiers[i], frontiers[k], ends[e - 1], ends[e], cuts);
      }
    }
  }
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

}  // namespace

SpeedFrontier::SpeedFrontier(std::vector<SpeedPoint> points) {
  // From the fastest on, each point that brings more throughput than all faster ones.
  std::sort(points.begin(), points.end(), [](const SpeedPoint& a, const SpeedPoint& b) {
    return a.speed != b.speed ? a.speed > b.speed : a.throughput > b.throughput;
  });
  for (const SpeedPoint& point : points) {
    if (!(point.speed > 0) || !(point.throughput > 0)) continue;
    client_bound_ |= point.at_least;
    if (!points_.empty() && point.throughput <= points_.back().throughput) continue;
    points_.push_back(point);
  }
  std::reverse(points_.begin(), points_.end());
}

ThroughputAtSpeed SpeedFrontier::At(double speed) const {
  if (points_.empty() || speed > points_.back().speed) return {};
  if (speed < points_.front().speed) {
    return {ThroughputAtSpeed::kAtLeast, points_.front().throughput};
  }
  const auto right =
      std::lower_bound(points_.begin(), points_.end(), speed,
                       [](const SpeedPoint& point, double s) { return point.speed < s; });
  const auto kind = [](bool at_least) {
    return at_least ? ThroughputAtSpeed::kAtLeast : ThroughputAtSpeed::kMeasured;
  };
  if (right->speed == speed) return {kind(right->at_least), right->throughput};
  const SpeedPoint& left = *(right - 1);
  const double part = (speed - left.speed) / (right->speed - left.speed);
  return {kind(left.at_least || right->at_least),
          left.throughput + part * (right->throughput - left.throughput)};
}

bool WithinNoise(const std::vector<FrontierBand>& bands, size_t winner, double speed) {
  for (size_t i = 0; i < bands.size(); ++i) {
    const double high = bands[i].high.At(speed).throughput;
    if (i != winner && high > 0 && high >= bands[winner].low.At(speed).throughput) return true;
  }
  return false;
}

std::vector<double> Shortfalls(const std::vector<SpeedFrontier>& frontiers) {
  std::vector<double> shortfalls;
  for (const SpeedFrontier& frontier : frontiers) {
    double least = 1;
    for (const SpeedPoint& point : frontier.points()) {
      least = std::min(least, 1 - point.throughput / BestAt(frontiers, point.speed));
    }
    shortfalls.push_back(least);
  }
  return shortfalls;
}

std::vector<SpeedRange> WinnersBySpeed(const std::vector<SpeedFrontier>& frontiers,
                                       const std::vector<FrontierBand>& bands) {
  std::vector<SpeedFrontier> curves = frontiers;
  for (const FrontierBand& band : bands) curves.insert(curves.end(), {band.low, band.high});
  const std::vector<double> cuts = CutsOf(curves);
  std::vector<SpeedRange> ranges;
  for (size_t c = 1; c < cuts.size(); ++c) {
    if (cuts[c] <= cuts[c - 1]) continue;
    const double middle = (cuts[c - 1] + cuts[c]) / 2;
    const std::optional<SpeedRange> here = WinnerAt(frontiers, middle);
    if (!here.has_value()) continue;
    const bool noise = WithinNoise(bands, here->winner, middle);
    if (!ranges.empty() && ranges.back().winner == here->winner &&
        ranges.back().open == here->open && ranges.back().within_noise == noise) {
      ranges.back().to = cuts[c];
    } else {
      ranges.push_back({cuts[c - 1], cuts[c], here->winner, here->open, noise});
    }
  }
  return ranges;
}

}  // namespace regatta
