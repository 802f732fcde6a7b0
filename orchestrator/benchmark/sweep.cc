// Concurrency lists and time estimates; see sweep.h.
#include "orchestrator/benchmark/sweep.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr uint32_t kMinRequests = 32;
constexpr uint32_t kRequestsPerUser = 10;

absl::Status Bad(absl::string_view part, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("--concurrency '", part, "': ", problem,
                   "; write 1,2,4 or 1:1024:x2 (multiply) or 1:16:+1 (add)"));
}

absl::StatusOr<uint32_t> ParseUsers(absl::string_view part, absl::string_view text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    return Bad(part, absl::StrCat("'", text, "' is not a number"));
  }
  if (value < 1 || value > kMaxConcurrency) {
    return Bad(part, absl::StrCat(value, " is not in 1..", kMaxConcurrency));
  }
  return static_cast<uint32_t>(value);
}

// "x2" or "+1".
struct Step {
  bool multiply = false;
  uint32_t by = 0;
  uint64_t Next(uint64_t value) const { return multiply ? value * by : value + by; }
};

absl::StatusOr<Step> ParseStep(absl::string_view part, absl::string_view text) {
  Step step;
  step.multiply = absl::ConsumePrefix(&text, "x");
  if (!step.multiply && !absl::ConsumePrefix(&text, "+")) {
    return Bad(part, absl::StrCat("the step '", text, "' begins with neither x nor +"));
  }
  ASSIGN_OR_RETURN(step.by, ParseUsers(part, text));
  if (step.multiply && step.by < 2) return Bad(part, "the factor must be at least 2");
  return step;
}

absl::Status AppendPart(absl::string_view part, std::vector<uint32_t>& points) {
  const std::vector<absl::string_view> fields = absl::StrSplit(part, ':');
  ASSIGN_OR_RETURN(const uint32_t first, ParseUsers(part, fields[0]));
  if (fields.size() == 1) {
    points.push_back(first);
    return absl::OkStatus();
  }
  if (fields.size() != 3) return Bad(part, "a range has three fields, first:last:step");
  ASSIGN_OR_RETURN(const uint32_t last, ParseUsers(part, fields[1]));
  if (last < first) return Bad(part, absl::StrCat("the end ", last, " is below ", first));
  ASSIGN_OR_RETURN(const Step step, ParseStep(part, fields[2]));
  for (uint64_t value = first; value <= last; value = step.Next(value)) points.push_back(value);
  return absl::OkStatus();
}

// By the ratio of concurrencies.
const SpeedSample& MostSimilar(absl::Span<const SpeedSample> samples, uint32_t concurrency) {
  const auto distance = [concurrency](const SpeedSample& sample) {
    return std::abs(std::log(1.0 * sample.concurrency / concurrency));
  };
  const SpeedSample* best = &samples[0];
  for (const SpeedSample& sample : samples) {
    if (distance(sample) <= distance(*best)) best = &sample;
  }
  return *best;
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> ParseConcurrency(absl::string_view text) {
  constexpr size_t kMaxPoints = 1000;
  std::vector<uint32_t> points;
  int number = 0;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    ++number;
    if (part.empty()) return Bad(text, absl::StrCat("value ", number, " is empty"));
    RETURN_IF_ERROR(AppendPart(part, points));
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  if (points.size() > kMaxPoints) {
    return Bad(text, absl::StrCat(points.size(), " points are more than ", kMaxPoints));
  }
  return points;
}

absl::StatusOr<uint32_t> RequestsAt(uint32_t concurrency, uint32_t asked) {
  if (asked == 0) return std::max(kMinRequests, kRequestsPerUser * concurrency);
  if (asked >= concurrency) return asked;
  return absl::InvalidArgumentError(absl::StrCat("--num-requests is ", asked,
                                                 ", must be at least the concurrency ", concurrency,
                                                 ": the load would never be reached"));
}

absl::StatusOr<std::vector<LoadPoint>> PlanPoints(const std::vector<uint32_t>& concurrencies,
                                                  uint32_t asked_requests) {
  std::vector<LoadPoint> points;
  for (uint32_t concurrency : concurrencies) {
    ASSIGN_OR_RETURN(const uint32_t requests, RequestsAt(concurrency, asked_requests));
    points.push_back({concurrency, requests});
  }
  return points;
}

TimeEstimate EstimateSeconds(const std::vector<LoadPoint>& points,
                             absl::Span<const SpeedSample> samples, double max_s_per_point) {
  TimeEstimate estimate;
  for (const LoadPoint& point : points) {
    const uint32_t at_once = point.concurrency > 0 ? point.concurrency : point.requests;
    const SpeedSample& sample = MostSimilar(samples, at_once);
    const double rounds = std::ceil(static_cast<double>(point.requests) / at_once);
    double low = rounds * sample.latency_s;
    // An open loop lasts until its last request is due.
    if (point.request_rate > 0) low += point.requests / point.request_rate;
    double high = sample.requests_per_s > 0 ? point.requests / sample.requests_per_s : low;
    if (max_s_per_point > 0) {
      const double growth = std::max(1.0, 1.0 * at_once / std::max(1u, sample.concurrency));
      low = std::min(low, max_s_per_point + sample.latency_s);
      high = std::min(high, max_s_per_point + sample.latency_s * growth);
    }
    estimate.low_s += std::min(low, high);
    estimate.high_s += std::max(low, high);
  }
  return estimate;
}

std::string FormatSeconds(double seconds) {
  const int64_t whole = std::llround(std::clamp(seconds, 0.0, 1e9));
  if (whole < 120) return absl::StrCat(whole, " s");
  if (whole < 7200) return absl::StrCat((whole + 30) / 60, " min");
  return absl::StrFormat("%d h %d min", whole / 3600, whole % 3600 / 60);
}

}  // namespace regatta
