// Which figures of a point may be shown: what others published lacks many, and none of ours is zero
// where requests completed.
#pragma once

#include "proto/results.pb.h"

namespace regatta {

// False where `figure` of an imported point is not known. Pictures leave such a figure out, text
// has a "-" in its place.
inline bool IsKnown(const PointReport& point, double figure) {
  return figure != 0 || !point.regatta().imported();
}

// Whether failures were counted at all.
inline bool KnowsFailures(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  return IsKnown(point, info.issued_requests() + info.failed_requests());
}

}  // namespace regatta
