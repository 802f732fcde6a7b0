// A pool that changes while layouts are compared: the same layout and load, measured twice.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// Of speeds in a round of halving and in the sweep that followed; less is the noise of short runs.
inline constexpr double kNoticedDrift = 0.1;

// Names every layout and load of `sweep` whose users had another speed in a round than in the
// sweep, by more than kNoticedDrift of the round's and outside of the sweep's interval where it has
// one, with both figures. Empty where there is none.
std::string DriftNote(const SweepReport& sweep);

}  // namespace regatta
