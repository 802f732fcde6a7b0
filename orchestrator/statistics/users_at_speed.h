// How many users a system serves at a speed that they are promised.
#pragma once

#include <cstdint>
#include <string>

#include "proto/results.pb.h"

namespace regatta {

// The largest concurrency among the sweep's points at which
//   DecodingSpeed and the 5 % quantile of per-request speeds are >= speed_tok_s,
//   the 95 % quantile of TTFT is <= max_ttft_ms, no request failed,
//   and that many really ran: time-weighted running sequences, while the load was offered
//   (offered_load.h), are >= 0.95 x concurrency. A point that does not tell is taken by its whole
//   run; one that is too short to tell does not count.
UsersAtSpeed FindUsersAtSpeed(const SweepReport& sweep, double speed_tok_s, double max_ttft_ms);

// The first of these conditions that the point misses, with both figures; empty when it meets all.
// A speed of 0 and an infinite TTFT ask nothing.
std::string MissedCondition(const PointReport& point, double speed_tok_s, double max_ttft_ms);

// What helps against a condition that was missed, in a sentence or two: other users, GPUs, limits,
// or a longer run. `users`: at how many it was missed; fewer than one are no advice.
std::string AdviceOn(const std::string& missed, uint32_t users);

// Whether the point misses nothing but length: it is too short to tell how many ran.
bool OnlyTooShort(const PointReport& point, double speed_tok_s, double max_ttft_ms);

}  // namespace regatta
