// What a load point is called, and how points are told apart: by the load that was asked for.
#pragma once

#include <string>
#include <utility>

#include "proto/results.pb.h"

namespace regatta {

// LoadShape.arrival of users who each send the next request when the last one has ended.
inline constexpr char kClosedLoop[] = "closed-loop";
// Of requests that are all due at once.
inline constexpr char kBurst[] = "burst";

// Request rate per second, 0 of a closed loop, and concurrency, 0 without a limit. Orders points as
// a sweep measures them.
using LoadKey = std::pair<double, uint32_t>;

inline LoadKey LoadOf(const RegattaInfo& info) {
  return {info.load().request_rate(), info.concurrency()};
}

// "concurrency 4"; "20 req/s", "20 req/s, at most 8 at once"; "all at once".
std::string LoadName(const LoadKey& load);
// The same in few characters: "c=4", "20/s", "20/s c=8", "all".
std::string LoadLabel(const LoadKey& load);

}  // namespace regatta
