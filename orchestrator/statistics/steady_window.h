// The part of a point in which the load was level: without ramp and drain.
#pragma once

#include "orchestrator/statistics/point_samples.h"
#include "proto/results.pb.h"

namespace regatta {

// Cuts the run into 100 slices. The plateau is the 90 % quantile of the slices' mean requests in
// flight, smoothed over 11 slices; the window is the longest span at 90 % of it or more. Both ends
// are truncated where that makes the mean token rate most certain (MSER, White 1997), unless what
// would go has the same rate within 1 %. Tokens count by arrival, whichever request they are of;
// latencies are of the requests that were sent in the window. Not found, with the reason: a run
// below half a second, a window below 20 slices or with fewer than 8 requests or three times those
// in flight, or a rate that does not settle within half of the span. `gpus` divides the throughput.
SteadyWindow FindSteadyWindow(const PointSamples& samples, uint32_t gpus);

// Tokens per second of successive equal slices of a window that was found; at least 20.
std::vector<double> SteadyRates(const PointSamples& samples, const SteadyWindow& window);

}  // namespace regatta
