// Which condition of being served a load misses.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

// A condition with the figures that miss it, for people; empty where none is missed.
struct Missed {
  Condition condition = CONDITION_NONE;
  std::string text;

  bool empty() const { return condition == CONDITION_NONE; }
};

// The first of these conditions that the point misses: a request completed; none failed; tokens
// have times, where a speed or a TTFT is asked; DecodingSpeed and the 5 % quantile of per-request
// speeds are >= speed_tok_s; the 95 % quantile of TTFT is <= max_ttft_ms; and that many really ran:
// time-weighted running sequences, while the load was offered (offered_load.h), are >= kReached x
// concurrency. A point that does not tell is taken by its whole run; one that is too short to tell
// misses it. A speed of 0 and an infinite TTFT ask nothing.
Missed MissedCondition(const PointReport& point, double speed_tok_s, double max_ttft_ms);

// Those that concern every load, whatever is asked of it: a request completed, none failed.
Missed MissedByFailures(const PointReport& point);

// Whether the point misses nothing but length: it is too short to tell how many ran.
bool OnlyTooShort(const PointReport& point, double speed_tok_s, double max_ttft_ms);

// What a load misses of which these are the runs: nothing where more than half of them miss
// nothing, else what the first of the others does.
Missed MissedByMost(absl::Span<const Missed> runs);

// What helps against a condition that was missed, in a sentence or two: other users, GPUs, limits,
// or a longer run; empty where none is known. `users`: at how many it was missed; one can
// neither be fewer nor lack room.
std::string AdviceOn(Condition missed, uint32_t users);

}  // namespace regatta
