// Whether what was measured outlived the measuring.
#pragma once

#include "absl/status/status.h"
#include "orchestrator/benchmark/serving.h"
#include "proto/results.pb.h"

namespace regatta {

// OK where no request of `point` failed, or `serving` still answers. Else what died, how, and
// whether the point `is_kept`: such figures are of a server that went away, not of the load.
absl::Status CheckSurvival(const PointReport& point, const Serving& serving, bool is_kept);

}  // namespace regatta
