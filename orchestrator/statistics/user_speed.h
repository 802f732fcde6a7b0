// How fast tokens come to a user.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Decoding of completed requests: tokens after the first, and the time they took. A mean of
// per-request speeds is at the mercy of one request whose last tokens arrived together; here each
// counts by its time.
struct DecodingTimes {
  std::vector<double> tokens, seconds;  // of each request with two tokens or more

  // Of a completed request; one of a single token adds nothing.
  void Add(const RequestRecord& request);
  // Sum of tokens / sum of seconds; none where no time passed.
  std::optional<double> SpeedTokS() const;
  // Requests whose tokens came faster than any model decodes: something on the way held them back.
  uint32_t Whole() const;
};

// tok/s of decoding (RegattaInfo.user_speed_tok_s); of results that do not have it the mean of
// per-request speeds. 0 where nothing was streamed.
double DecodingSpeed(const PointReport& point);

// The same; where no token has a time, throughput per user with context.
double UserSpeed(const PointReport& point);
// Whether it is the latter: nothing was asked to stream, or the answers came whole.
bool SpeedIsWithContext(const PointReport& point);

}  // namespace regatta
