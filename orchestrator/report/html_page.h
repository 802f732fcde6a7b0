// The self-contained HTML page of a sweep: charts, table, per-point reports, everything needed to
// repeat it. No scripts, no network.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

std::string RenderHtml(const SweepReport& sweep);

}  // namespace regatta
