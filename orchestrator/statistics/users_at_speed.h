// How many users a system serves at a speed that they are promised.
#pragma once

#include "proto/results.pb.h"

namespace regatta {

// The largest concurrency among the sweep's points at which most runs miss no condition
// (missed_condition.h), and what the next larger one misses. Of a load that fresh prompts were to
// confirm only the runs with these count, which may have refuted it; runs of an overload count for
// nobody. Only closed loops have users: where none was measured there is neither.
UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms);

}  // namespace regatta
