// What one request's record says about time. The vocabulary of every figure: t_d due (scheduled),
// t_0 sent, t_1 first token, t_n last token, n output tokens.
#pragma once

#include <algorithm>
#include <optional>

#include "absl/types/span.h"
#include "proto/results.pb.h"

namespace regatta {

// Neither failed nor cancelled on purpose.
inline bool Completed(const RequestRecord& r) { return r.error().empty() && !r.cancelled(); }

inline double LatencyMs(const RequestRecord& r) { return r.last_token_ms() - r.sent_ms(); }
inline double TtftMs(const RequestRecord& r) { return r.first_token_ms() - r.sent_ms(); }

// When it was sent, where nobody knows when it was due.
inline double DueMs(const RequestRecord& r) {
  return r.has_scheduled_ms() ? r.scheduled_ms() : r.sent_ms();
}

// From the time when the request was due: what a user waited who came when the schedule says.
inline double ScheduledLatencyMs(const RequestRecord& r) { return r.last_token_ms() - DueMs(r); }
inline double ScheduledTtftMs(const RequestRecord& r) { return r.first_token_ms() - DueMs(r); }

// Whether it is on record when each of `requests` was due.
inline bool KnowsSchedule(absl::Span<const RequestRecord> requests) {
  return std::all_of(requests.begin(), requests.end(),
                     [](const RequestRecord& r) { return r.has_scheduled_ms(); });
}

// (t_n - t_1) / (n - 1); a single token has none.
inline std::optional<double> TpotMs(const RequestRecord& r) {
  if (r.output_tokens() < 2) return std::nullopt;
  return (r.last_token_ms() - r.first_token_ms()) / (r.output_tokens() - 1.0);
}

// (n - 1) / (t_n - t_1), tokens per second; tokens that all came in one message have none.
inline std::optional<double> SpeedTokS(const RequestRecord& r) {
  const double generation_s = (r.last_token_ms() - r.first_token_ms()) / 1e3;
  if (r.output_tokens() < 2 || generation_s <= 0) return std::nullopt;
  return (r.output_tokens() - 1.0) / generation_s;
}

}  // namespace regatta
