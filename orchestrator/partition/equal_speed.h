// Layouts and precisions of a sweep compared at equal speed of a user.
#pragma once

#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Fills `speeds` (a row for each of `user_speeds`), `winners` and `notes` of sweep.partition from
// the sweep's points, replacing what was there. Each layout and precision stands by its own
// frontier of measured points (SeriesInFull) in which nothing failed; between two of them a
// straight line is taken, beyond them nothing. A lead is within noise where the intervals of the
// points' repeats meet. What the client slowed is a lower bound. `max_ttft_ms` is for the users
// that a layout serves at a speed (users_at_speed.h).
void CompareAtEqualSpeed(const std::vector<double>& user_speeds, double max_ttft_ms,
                         SweepReport& sweep);

}  // namespace regatta
