// Loads that were too short to say how many users ran are measured again, longer. Pure.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "orchestrator/search/goal.h"
#include "proto/results.pb.h"

namespace regatta {

// How often a load is measured again; after that what it does not tell counts as missed.
inline constexpr int kMostLengthenings = 2;

// How many times its usual length a load is measured for: four times as long for each of the runs
// of it that were too short; a load that was not searched is as long as the next smaller one that
// was.
uint32_t LengthFactor(const SweepReport& sweep, uint32_t concurrency);

// Whether the last run of the search might meet one of `goals` and is only too short to tell, and
// may be measured again: it then gets kTooShortRole and leaves the points of `sweep`.
bool SetAsideTooShort(absl::Span<const Goal> goals, SweepReport& sweep);

}  // namespace regatta
