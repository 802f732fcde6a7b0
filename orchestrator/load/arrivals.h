// When the requests of a load point are due: bursts, constant, Poisson and gamma arrivals, and
// ramps of the rate. Pure: a function of the options and the request's index.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

enum class ArrivalProcess { kConstant, kPoisson, kGamma };
enum class RampUp { kNone, kLinear, kExponential };

struct ArrivalOptions {
  ArrivalProcess process = ArrivalProcess::kPoisson;
  double rate = 0;        // requests per second; infinity = all at once; of a ramp: its end
  double burstiness = 1;  // shape of gamma: 1 = Poisson, less = burstier, infinity = constant
  RampUp ramp_up = RampUp::kNone;
  double ramp_up_start_rate = 0;  // of the first gap
  uint64_t seed = 0;
};

inline constexpr double kMaxRequestRate = 1e6;  // per second

// "constant", "poisson", "gamma"; "" (none), "linear", "exponential". INVALID_ARGUMENT names the
// value.
absl::StatusOr<ArrivalProcess> ParseArrivalProcess(absl::string_view name);
absl::StatusOr<RampUp> ParseRampUp(absl::string_view name);

// INVALID_ARGUMENT names the flag, its value and the limit.
absl::Status CheckArrivals(const ArrivalOptions& options);

// Nanoseconds from the start of the point, ascending, the first one 0. `options` must be valid.
//
// Gap i, before request i, has the mean 1 / rate; gamma gaps have the shape `burstiness` and the
// coefficient of variation 1 / sqrt(burstiness), as `vllm bench serve --burstiness` draws them
// (which then stretches all of them to the expected sum: ours stay as drawn). A linear ramp's rate
// at gap i is start + (end - start) * p, an exponential one's start * (end / start)^p, with p going
// from 0 at the first gap to 1 at the last one, which is vLLM's --ramp-up-strategy.
std::vector<int64_t> ArrivalTimesNs(const ArrivalOptions& options, uint32_t count);

}  // namespace regatta
