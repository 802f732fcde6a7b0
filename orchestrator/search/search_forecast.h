// Which loads a search will probably still measure: for estimates of what is left. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "orchestrator/search/adaptive_search.h"
#include "orchestrator/search/goal.h"
#include "proto/results.pb.h"

namespace regatta {

struct SearchForecast {
  std::vector<uint32_t> loads;     // still to be measured, in order
  std::vector<uint32_t> searched;  // all, ascending
  uint32_t best = 0;               // that will probably be recommended for the first goal; 0 = none
};

// Plays the search to its end (ChooseNextLoad) on loads that are predicted from `runs`, those it
// has measured: the time of a token and to the first one grows with the users along a straight
// line, between two neighbours through both, beyond the largest through the two largest; throughput
// is users over the time of a token. Nothing is expected before two loads are measured.
SearchForecast ForecastSearch(const SearchLimits& limits, absl::Span<const Goal> goals,
                              absl::Span<const PointReport* const> runs);

}  // namespace regatta
