// A comparison as a forest plot: one line per figure with its change and interval, as SVG.
#pragma once

#include <string>

#include "proto/comparison.pb.h"

namespace regatta {

// The headline figures of every load, of several layouts of all loads of each; better ones to be
// told from worse ones by shape as well as by colour. An <svg> element that needs nothing else.
std::string ForestPlot(const Comparison& comparison);

}  // namespace regatta
