// The throughput/speed frontier: which points no other point beats in both per-user speed and
// per-GPU throughput; and the words that go with every picture of a sweep.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/report/point_series.h"
#include "orchestrator/statistics/user_speed.h"
#include "proto/results.pb.h"

namespace regatta {

// y: output tok/s per GPU; x is UserSpeed, tok/s/user.
double GpuThroughput(const PointReport& point);

// Whether there is anything to draw or to average: at least one request completed, and with times
// of tokens.
bool HasCompleted(const PointReport& point);
bool HasTokenTimes(const PointReport& point);

// One flag per point: true when no other point is at least as good in both and better in one.
// Points without tokens, that lost requests in any of their runs, whose layout changed while they
// were measured, or whose speed nobody published, never count. Of `series` in AllPoints' order.
std::vector<bool> OnFrontier(const std::vector<PointSeries>& series);
std::vector<bool> OnFrontier(const SweepReport& sweep);

// What must be said wherever figures of this sweep are shown: CPU ranks, dummy weights, failed
// requests, cut short, what doctor warned of. Empty if nothing.
std::string SweepCaveat(const SweepReport& sweep);

// "regatta-dense, tp2, float32, CPU ranks, 128/128": one line that names what was measured.
std::string SweepSubject(const SweepReport& sweep);

}  // namespace regatta
