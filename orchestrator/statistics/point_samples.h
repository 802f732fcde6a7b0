// What one load point left behind: the raw material of every figure.
#pragma once

#include <cstdint>
#include <vector>

#include "orchestrator/statistics/token_timeline.h"
#include "proto/results.pb.h"

namespace regatta {

struct PointSamples {
  std::vector<RequestRecord> requests;  // every issued one, failed ones (`error` set) included
  std::vector<float> gaps_ms;           // time between two token messages of a request / tokens of
                                        // the later one
  std::vector<uint32_t> gap_tokens;     // tokens of the later one, for each of gaps_ms
  TokenTimeline tokens;                 // of all requests, failed ones included

  // A token message that came `gap_ms` after the one before it of its request, `at_ms` after the
  // start of the point.
  void AddMessage(double at_ms, double gap_ms, uint32_t tokens_of_it) {
    gaps_ms.push_back(static_cast<float>(gap_ms / tokens_of_it));
    gap_tokens.push_back(tokens_of_it);
    tokens.Add(at_ms, tokens_of_it);
  }
  // The first token message of a request.
  void AddFirstMessage(double at_ms, uint32_t tokens_of_it) { tokens.Add(at_ms, tokens_of_it); }

  // Takes over what another client measured of the same point, with times from the same start.
  void Merge(PointSamples&& other);
};

}  // namespace regatta
