// What a server had to do, averaged over a span of a point: sequences that ran and that waited, and
// its KV cache.
#pragma once

#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Milliseconds from the start of the point.
struct TimeSpan {
  double start_ms = 0, end_ms = 0;

  double length_ms() const { return end_ms - start_ms; }
  // Of [from, to) what lies in the span.
  double Within(double from_ms, double to_ms) const;
};

// Whether the server told of every request how long it was prefilled and decoded. What was
// preempted did not run all the time, so that nothing may be.
bool TellsEveryRequest(const std::vector<RequestRecord>& requests);

// Means over the span by the records: exact where the server tells every request, whose time from
// its admission to its last token, and before that in the queue, counts as far as it is in the
// span.
double MeanRunning(const std::vector<RequestRecord>& requests, const TimeSpan& span);
double MeanWaiting(const std::vector<RequestRecord>& requests, const TimeSpan& span);
double MeanInFlight(const std::vector<RequestRecord>& requests, const TimeSpan& span);

// Time-weighted means of the router's states; each holds until the next one.
struct StateMeans {
  int states = 0;  // that held within the span
  double running = 0, waiting = 0, kv_usage = 0;
};
StateMeans AverageStates(const PointTimeline& timeline, const TimeSpan& span);

// Fills mean_running, mean_waiting and mean_kv_usage over the whole run, from the first completed
// request's sending to the last one's end. What neither the requests nor the router tell stays
// unset.
void NoteServerLoad(const std::vector<RequestRecord>& requests, const PointTimeline& timeline,
                    RegattaInfo& info);

}  // namespace regatta
