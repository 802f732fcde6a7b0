// Gaps by the inverse of their distribution; see arrivals.h.
#include "orchestrator/load/arrivals.h"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

// More makes the shape indistinguishable from constant gaps, and its inverse slow.
constexpr double kLargestShape = 1e6;
constexpr double kSmallestShape = 1e-3;
constexpr double kLatestNs = 0x1p60;  // 36 years, so that a start can be added

absl::Status Bad(absl::string_view flag, double value, absl::string_view limit) {
  return absl::InvalidArgumentError(absl::StrCat(flag, " is ", value, ", must be ", limit));
}

// Of mean 1: one uniform draw through the inverse of the distribution function.
double UnitGap(const ArrivalOptions& options, uint32_t index) {
  const bool constant = options.process == ArrivalProcess::kConstant;
  if (constant || (options.process == ArrivalProcess::kGamma && std::isinf(options.burstiness))) {
    return 1;
  }
  const double u = DrawUnit(options.seed, RandomStream::kArrival, index, 0);
  if (options.process == ArrivalProcess::kPoisson) return -std::log(u);
  return boost::math::gamma_p_inv(options.burstiness, u) / options.burstiness;
}

double RateAt(const ArrivalOptions& options, uint32_t gap, uint32_t gaps) {
  const double done = gaps > 1 ? (gap - 1.0) / (gaps - 1.0) : 0;
  const double start = options.ramp_up_start_rate;
  switch (options.ramp_up) {
    case RampUp::kLinear:
      return start + (options.rate - start) * done;
    case RampUp::kExponential:
      return start * std::pow(options.rate / start, done);
    default:
      return options.rate;
  }
}

}  // namespace

absl::StatusOr<ArrivalProcess> ParseArrivalProcess(absl::string_view name) {
  if (name == "constant") return ArrivalProcess::kConstant;
  if (name == "poisson") return ArrivalProcess::kPoisson;
  if (name == "gamma") return ArrivalProcess::kGamma;
  return absl::InvalidArgumentError(
      absl::StrCat("--arrival is '", name, "', must be constant, poisson or gamma"));
}

absl::StatusOr<RampUp> ParseRampUp(absl::string_view name) {
  if (name.empty()) return RampUp::kNone;
  if (name == "linear") return RampUp::kLinear;
  if (name == "exponential") return RampUp::kExponential;
  return absl::InvalidArgumentError(
      absl::StrCat("--ramp-up is '", name, "', must be linear or exponential"));
}

absl::Status CheckArrivals(const ArrivalOptions& options) {
  const std::string rates = absl::StrCat("above 0 and at most ", kMaxRequestRate);
  const bool all_at_once = std::isinf(options.rate) && options.rate > 0;
  if (!all_at_once && !(options.rate > 0 && options.rate <= kMaxRequestRate)) {
    return Bad("--request-rate", options.rate, absl::StrCat(rates, ", or inf"));
  }
  const double shape = options.burstiness;
  if (!(shape >= kSmallestShape && (shape <= kLargestShape || std::isinf(shape)))) {
    return Bad("--burstiness", shape,
               absl::StrCat("in ", kSmallestShape, "..", kLargestShape, ", or inf"));
  }
  if (shape != 1 && options.process != ArrivalProcess::kGamma) {
    return Bad("--burstiness", shape, "1 unless --arrival is gamma");
  }
  if (options.ramp_up == RampUp::kNone) return absl::OkStatus();
  if (all_at_once) return Bad("--request-rate", options.rate, "finite, where a ramp ends there");
  const double start = options.ramp_up_start_rate;
  if (!(start > 0 && start <= kMaxRequestRate)) return Bad("--ramp-up-start-rps", start, rates);
  return absl::OkStatus();
}

std::vector<int64_t> ArrivalTimesNs(const ArrivalOptions& options, uint32_t count) {
  const absl::Status valid = CheckArrivals(options);
  CHECK(valid.ok()) << valid;
  std::vector<int64_t> times(count, 0);
  double time_s = 0;
  for (uint32_t i = 1; i < count; ++i) {
    time_s += UnitGap(options, i) / RateAt(options, i, count - 1);
    times[i] = std::llround(std::min(time_s * 1e9, kLatestNs));
  }
  return times;
}

}  // namespace regatta
