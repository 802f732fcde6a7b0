// Merging; see point_samples.h.
#include "orchestrator/statistics/point_samples.h"

#include <iterator>

namespace regatta {

void PointSamples::Merge(PointSamples&& other) {
  requests.insert(requests.end(), std::make_move_iterator(other.requests.begin()),
                  std::make_move_iterator(other.requests.end()));
  gaps_ms.insert(gaps_ms.end(), other.gaps_ms.begin(), other.gaps_ms.end());
  gap_tokens.insert(gap_tokens.end(), other.gap_tokens.begin(), other.gap_tokens.end());
  tokens.Merge(other.tokens);
}

}  // namespace regatta
