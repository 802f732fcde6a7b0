// Throughput against per-user speed as a curve that can be asked at any speed: how layouts are
// compared at equal interactivity.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace regatta {

struct SpeedPoint {
  double speed = 0;       // output tok/s of a user
  double throughput = 0;  // output tok/s per GPU
  bool at_least = false;  // the client slowed it: the configuration gives this much or more
};

// How much a configuration gives to users who get at least a speed.
struct ThroughputAtSpeed {
  enum Kind {
    kMeasured,    // between two measured points, or at one
    kNotReached,  // no user was ever that fast: no throughput
    // All measured users were faster, and more load would give more than `throughput`; or a point
    // that this rests on is at_least itself.
    kAtLeast,
  };
  Kind kind = kNotReached;
  double throughput = 0;
};

// The points that no other is at least as good as in both figures, joined by straight lines.
class SpeedFrontier {
 public:
  // Points without speed or throughput are left out.
  explicit SpeedFrontier(std::vector<SpeedPoint> points);

  bool empty() const { return points_.empty(); }
  // From the slowest users to the fastest; throughput falls.
  const std::vector<SpeedPoint>& points() const { return points_; }

  // Whether any point is at_least, those that others beat included.
  bool client_bound() const { return client_bound_; }

  // Interpolates, never extrapolates.
  ThroughputAtSpeed At(double speed) const;

 private:
  std::vector<SpeedPoint> points_;
  bool client_bound_ = false;
};

// A frontier as it would be were every point at the lower, or at the upper end of its intervals;
// without intervals both are the frontier itself.
struct FrontierBand {
  SpeedFrontier low, high;
};

// Whether the band of another reaches that of `winner` at that speed.
bool WithinNoise(const std::vector<FrontierBand>& bands, size_t winner, double speed);

// By how much each configuration stays below the best of all where it comes closest: the least
// over its points of 1 - throughput / (the best throughput of any at that speed). 0 = it is the
// best at some speed; 1 for one without points.
std::vector<double> Shortfalls(const std::vector<SpeedFrontier>& frontiers);

// A span of speeds at which one configuration has the highest throughput.
struct SpeedRange {
  double from = 0;  // 0 = any slower speed as well
  double to = 0;
  size_t winner = 0;  // index of the frontier; of equal ones the first
  bool open = false;  // of another only a lower bound is known there (kAtLeast)
  bool within_noise = false;
};

// All spans from speed 0 to the fastest that any reaches, ascending; neighbours differ in winner,
// openness or noise. Curves cross between measured points as their straight lines do. `bands` are
// of the same configurations; none: nothing is within noise.
std::vector<SpeedRange> WinnersBySpeed(const std::vector<SpeedFrontier>& frontiers,
                                       const std::vector<FrontierBand>& bands = {});

}  // namespace regatta
