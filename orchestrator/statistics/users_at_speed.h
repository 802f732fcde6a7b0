// How many users a system serves at a speed that they are promised.
#pragma once

#include "proto/results.pb.h"

namespace regatta {

// The largest concurrency among the sweep's points that misses no
// condition (missed_condition.h), and what the next larger one misses.
UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms);

}  // namespace regatta
