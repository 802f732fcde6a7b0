// In which order the runs of a sweep are measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace regatta {

struct PlannedRun {
  size_t point = 0;     // index of the load point
  uint32_t repeat = 1;  // which run of it, from 1
};

// Every point `repeats` times. One repeat keeps the points' order; several are randomised complete
// blocks (Fisher 1926): each block has every point once, in an order drawn from `seed`, so that
// neither a drift of the system nor the point before favours any of them.
std::vector<PlannedRun> DrawRunOrder(size_t points, uint32_t repeats, uint64_t seed);

}  // namespace regatta
