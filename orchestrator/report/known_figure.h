// Which figures of a point may be shown: what others published lacks many, and none of ours is zero
// where requests completed.
#pragma once

#include <algorithm>

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

// Whether requests of any point were cancelled on purpose: only then they are worth a column.
inline bool AnyCancelled(const SweepReport& sweep) {
  return std::any_of(sweep.points().begin(), sweep.points().end(), [](const PointReport& point) {
    return point.regatta().cancelled_requests() > 0;
  });
}

}  // namespace regatta
