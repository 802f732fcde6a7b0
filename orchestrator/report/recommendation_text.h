// A search and what it recommends, in plain words with a table.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// Which load serves the goal, what was predicted and what was confirmed, what more users would see,
// the tuned limits and what became of them; for a search without a goal how it ended. Empty when
// nothing was searched for.
std::string RecommendationText(const SweepReport& sweep);

}  // namespace regatta
