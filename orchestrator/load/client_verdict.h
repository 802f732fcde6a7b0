// Whether a point's figures are the system's or the load generator's own. Pure.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// Sets bound and reasons of point.regatta.client, from its other fields and the point's figures.
// The client shaped the figures when, with the limits that client_verdict.cc names,
//   requests left late, compared with the time to the first token;
//   times were recorded late, compared with the time between tokens (calibration);
//   tokens came nearly as fast as this client can take them (calibration);
//   a thread was busy nearly all the time, or did not look for tokens for long;
//   the CPU quota of its control group was used up.
void JudgeClient(PointReport& point);

// "client_bound: no (2 threads, 31 % busy, send lag p99 0.08 ms, longest stall 1.9 ms)".
std::string ClientLine(const ClientReport& client);

}  // namespace regatta
