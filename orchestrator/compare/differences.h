// What two runs do not have in common, besides their figures. Pure.
#pragma once

#include <vector>

#include "proto/comparison.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// First what may move figures although the systems are alike (`spoils`): devices, power limits,
// clocks, driver, host, data set, load and how it was measured; then what systems differ in: model,
// precision, layout, limits, build. What one of the runs does not tell is left out.
std::vector<SideDifference> DifferencesOf(const SweepReport& a, const SweepReport& b);

}  // namespace regatta
