// How many users a system serves at a speed that they are promised.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// The largest concurrency among the sweep's points at which
//   mean and 5 % quantile of the per-request output speed are >= speed_tok_s,
//   the 95 % quantile of TTFT is <= max_ttft_ms, no request failed,
//   and that many really ran: time-weighted running sequences (by the router's Watch; requests in
//   flight where there is none) are >= 0.95 x concurrency, over the whole run or, at the least that
//   they can have been, over the steady window.
UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms);

// The first of these conditions that the point misses, with both figures; empty when it meets all.
// A speed of 0 and an infinite TTFT ask nothing.
std::string MissedCondition(const PointReport& point, double speed_tok_s, double max_ttft_ms);

}  // namespace regatta
