// What a load point is called, and how points are told apart: by the load that was asked for.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "proto/results.pb.h"

namespace regatta {

// LoadShape.arrival of users who each send the next request when the last one has ended.
inline constexpr char kClosedLoop[] = "closed-loop";
// Of requests that are all due at once.
inline constexpr char kBurst[] = "burst";
// Of requests that are due by the data set's timestamps.
inline constexpr char kTraceReplay[] = "trace";
// Of requests that are due by a rate.
inline constexpr char kConstant[] = "constant";
inline constexpr char kPoisson[] = "poisson";
inline constexpr char kGamma[] = "gamma";
inline constexpr const char* kArrivals[] = {kClosedLoop, kBurst,   kTraceReplay,
                                            kConstant,   kPoisson, kGamma};
// LoadShape.ramp_up of a rate that grows.
inline constexpr const char* kRampUps[] = {"linear", "exponential"};

// Orders points as a sweep measures them.
struct LoadKey {
  double request_rate = 0;    // per second; 0 of a closed loop
  uint32_t concurrency = 0;   // 0 = without a limit
  double replay_speedup = 0;  // of a trace; 0 = it is none

  auto operator<=>(const LoadKey&) const = default;
};

LoadKey LoadOf(const RegattaInfo& info);

// Whether it is on record when the requests of a point were sent.
bool KnowsLoad(const RegattaInfo& info);

// LoadShape.arrival, where users without a limit on record are a burst. Empty where only a rate is
// known.
std::string ArrivalOf(const RegattaInfo& info);

// Whether `concurrency` is a number of users, rather than a limit of requests that come by
// themselves.
bool IsClosedLoop(const RegattaInfo& info);

// Whether requests are due at times of their own, by a rate or a trace: neither all at once nor
// each when another has ended.
bool HasSchedule(const LoadKey& load);

// "concurrency 4"; "20 req/s", "20 req/s, at most 8 at once"; "all at once"; "trace replay",
// "trace replay, 5 times as fast, at most 8 at once".
std::string LoadName(const LoadKey& load);
// The load that LoadName calls so; nullopt for any other text.
std::optional<LoadKey> LoadNamed(absl::string_view name);
// The same in few characters: "c=4", "20/s", "20/s c=8", "all", "trace", "trace x5 c=8".
std::string LoadLabel(const LoadKey& load);

}  // namespace regatta
