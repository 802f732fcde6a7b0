// How many sequences ran while all users of a closed loop were there.
#pragma once

#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// Part of the asked concurrency or rate from which on it counts as reached.
inline constexpr double kReached = 0.95;

// Averages running sequences over the part of a point in which its load was offered: the steady
// window where one was found; else from the first request sent (after the ramp of the users, if
// there is one) to the last. Users arrive before it and leave after it: neither says how many a
// system runs at once. The mean (server_load.h) is exact where the server told of every request;
// else it is that of the router's states; without states either, of requests in flight. `info` has
// concurrency, load and steady window of the point, `timeline` the router's states. Not a mean but
// why (too_short): without a steady window fewer than four requests of each user, or eight in all;
// fewer than five states of the router.
OfferedLoad FindOfferedLoad(const std::vector<RequestRecord>& requests, const RegattaInfo& info,
                            const PointTimeline& timeline);
// Sets info.offered so where the load is a closed loop of users, and of any load the means over the
// whole run beside it.
void NoteOfferedLoad(const std::vector<RequestRecord>& requests, const PointTimeline& timeline,
                     RegattaInfo& info);

}  // namespace regatta
