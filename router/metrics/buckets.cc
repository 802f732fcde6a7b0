// The bounds; see buckets.h.
#include "router/metrics/buckets.h"

namespace regatta {

const std::vector<double>& FirstTokenBounds() {
  static const std::vector<double> bounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                             0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                             20,    40,    80,   160,  640,  2560};
  return bounds;
}

const std::vector<double>& TokenTimeBounds() {
  static const std::vector<double> bounds = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                             0.3,  0.4,   0.5,  0.75,  1,   2.5,  5,
                                             7.5,  10,    20,   40,    80};
  return bounds;
}

const std::vector<double>& RequestTimeBounds() {
  static const std::vector<double> bounds = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                             30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
  return bounds;
}

const std::vector<double>& StepTokensBounds() {
  static const std::vector<double> bounds = {1,   8,    16,   32,   64,   128,  256,
                                             512, 1024, 2048, 4096, 8192, 16384};
  return bounds;
}

const std::vector<double>& StepTimeBounds() {
  static const std::vector<double> bounds = {
      0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
      0.02,    0.05,    0.1,     0.2,    0.5,    1,      2,     5,     10,    30};
  return bounds;
}

const std::vector<double>& StepSequencesBounds() {
  static const std::vector<double> bounds = {1,   2,   4,   8,    16,   32,  64,
                                             128, 256, 512, 1024, 2048, 4096};
  return bounds;
}

std::vector<double> SizeBounds(uint32_t largest) {
  std::vector<double> bounds;
  for (double power = 1; power <= largest; power *= 10) {
    for (const double step : {1, 2, 5}) {
      if (power * step <= largest) bounds.push_back(power * step);
    }
  }
  return bounds;
}

}  // namespace regatta
