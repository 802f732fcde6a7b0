// A pool that changes while layouts are compared: the same layout and load, measured twice.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// Names every layout and load of `sweep` whose users had another speed in a round of halving than
// in the sweep that followed (drift.h), with both figures. Empty where there is none.
std::string RoundDrift(const SweepReport& sweep);

}  // namespace regatta
