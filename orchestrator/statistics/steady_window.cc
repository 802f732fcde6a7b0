// Slices, the longest span, MSER; see steady_window.h.
#include "orchestrator/statistics/steady_window.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/request_times.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

constexpr int kSlices = 100;
constexpr int kLeastSliceMs = 5;  // of arrivals known to the millisecond
constexpr int kSmoothing = 5;     // slices to either side
constexpr int kLeastSlices = 20;
constexpr uint32_t kLeastRequests = 8;
// Users whose requests are alike go on in waves, with a rate that rises and falls once a request:
// a part of a wave is level and no steady state.
constexpr double kLeastRequestsOfAUser = 3;
constexpr double kPlateauQuantile = 0.9;
constexpr double kOfPlateau = 0.9;
constexpr double kAlike = 0.01;
constexpr double kRounding = 1e-12;  // a relative variance below is none

struct Span {
  int begin = 0, end = 0;  // slices
  int size() const { return end - begin; }
};

struct Slices {
  double start_ms = 0, width_ms = 0;
  double At(int slice) const { return start_ms + slice * width_ms; }
};

Slices Cut(const std::vector<RequestRecord>& requests) {
  double start = requests[0].sent_ms(), end = requests[0].last_token_ms();
  for (const RequestRecord& r : requests) {
    start = std::min(start, r.sent_ms());
    end = std::max(end, r.last_token_ms());
  }
  return {start, (end - start) / kSlices};
}

// Mean requests in flight of each slice.
std::vector<double> InFlight(const std::vector<RequestRecord>& requests, const Slices& slices) {
  std::vector<double> in_flight(kSlices, 0);
  for (const RequestRecord& r : requests) {
    const double from = (r.sent_ms() - slices.start_ms) / slices.width_ms;
    const double to = (r.last_token_ms() - slices.start_ms) / slices.width_ms;
    for (int i = static_cast<int>(from); i < std::min<double>(kSlices, to); ++i) {
      in_flight[i] += std::max(0.0, std::min(to, i + 1.0) - std::max<double>(from, i));
    }
  }
  return in_flight;
}

std::vector<double> Smoothed(const std::vector<double>& values) {
  std::vector<double> smooth;
  const int size = static_cast<int>(values.size());
  for (int i = 0; i < size; ++i) {
    const int begin = std::max(0, i - kSmoothing), end = std::min(size, i + kSmoothing + 1);
    smooth.push_back(Mean(absl::MakeSpan(values).subspan(begin, end - begin)));
  }
  return smooth;
}

Span LongestAtLeast(const std::vector<double>& values, double limit) {
  Span longest, span;
  for (int i = 0; i < static_cast<int>(values.size()); ++i) {
    if (values[i] < limit) continue;
    if (span.end != i) span = {i, i};
    span.end = i + 1;
    if (span.size() > longest.size()) longest = span;
  }
  return longest;
}

// How many leading values to leave out so that the squared standard error of the mean of the rest
// is smallest; at most half of them, and none whose mean is that of the rest: beside a rate that
// hardly varies a single slice that catches one step fewer would cost all before it.
int Truncation(absl::Span<const double> values) {
  int best = 0;
  double least = 0, sum = 0, squares = 0;
  for (int i = static_cast<int>(values.size()) - 1; i >= 0; --i) {
    sum += values[i];
    squares += values[i] * values[i];
    if (i > static_cast<int>(values.size()) / 2) continue;
    const double count = values.size() - i, mean = sum / count;
    double variance = squares / count - mean * mean;
    if (variance < kRounding * mean * mean) variance = 0;
    const double error = variance / count;
    if (i == static_cast<int>(values.size()) / 2 || error <= least) {
      least = error;
      best = i;
    }
  }
  const double without = Mean(values.subspan(best));
  const bool alike = std::abs(Mean(values.first(best)) - without) <= kAlike * without;
  return alike ? 0 : best;
}

std::vector<double> Rates(const TokenTimeline& tokens, const Slices& slices, Span span) {
  std::vector<double> rates;
  for (int i = span.begin; i < span.end; ++i) {
    rates.push_back(tokens.Between(slices.At(i), slices.At(i + 1)) / slices.width_ms * 1e3);
  }
  return rates;
}

// Leaves out what has not settled at either end; false when that is half of the span.
bool Truncate(const TokenTimeline& tokens, const Slices& slices, Span& span) {
  std::vector<double> rates = Rates(tokens, slices, span);
  const int front = Truncation(rates);
  rates.erase(rates.begin(), rates.begin() + front);
  std::reverse(rates.begin(), rates.end());
  const int back = Truncation(rates);
  const bool settled = front < span.size() / 2 && back < static_cast<int>(rates.size()) / 2;
  span = {span.begin + front, span.end - back};
  return settled;
}

void FillLatencies(const std::vector<RequestRecord>& requests, SteadyWindow& window) {
  std::vector<double> ttft, tpot, latency, speed;
  DecodingTimes decoding;
  for (const RequestRecord& r : requests) {
    if (!Completed(r) || r.sent_ms() < window.start_ms() || r.sent_ms() >= window.end_ms()) {
      continue;
    }
    ttft.push_back(TtftMs(r));
    latency.push_back(LatencyMs(r));
    if (const auto value = TpotMs(r)) tpot.push_back(*value);
    if (const auto value = SpeedTokS(r)) speed.push_back(*value);
    decoding.Add(r);
  }
  window.set_num_requests(ttft.size());
  window.set_token_output_speed_tok_s(Mean(speed));
  if (const auto pooled = decoding.SpeedTokS()) window.set_user_speed_tok_s(*pooled);
  *window.mutable_ttft_ms() = Summarize(std::move(ttft));
  *window.mutable_tpot_ms() = Summarize(std::move(tpot));
  *window.mutable_latency_ms() = Summarize(std::move(latency));
}

SteadyWindow NotFound(std::string why) {
  SteadyWindow window;
  window.set_why_not(std::move(why));
  return window;
}

SteadyWindow TooShort(const char* what, Span span) {
  return NotFound(
      absl::StrCat(what, " for ", span.size(), " % of the run, below ", kLeastSlices, " %"));
}

}  // namespace

SteadyWindow FindSteadyWindow(const PointSamples& samples, uint32_t gpus) {
  if (samples.requests.empty()) return NotFound("no requests");
  const Slices slices = Cut(samples.requests);
  if (slices.width_ms < kLeastSliceMs) {
    return NotFound(absl::StrCat("the run took ", std::lround(slices.width_ms * kSlices),
                                 " ms, below ", kSlices * kLeastSliceMs));
  }
  const std::vector<double> in_flight = InFlight(samples.requests, slices);
  const std::vector<double> smooth = Smoothed(in_flight);
  const double plateau = QuantileOf(smooth, kPlateauQuantile);
  Span span = LongestAtLeast(smooth, kOfPlateau * plateau);
  if (span.size() < kLeastSlices) return TooShort("the load is level", span);
  if (!Truncate(samples.tokens, slices, span)) return NotFound("the token rate does not settle");
  if (span.size() < kLeastSlices) return TooShort("the token rate is level", span);
  SteadyWindow window;
  window.set_start_ms(slices.At(span.begin));
  window.set_end_ms(slices.At(span.end));
  window.set_plateau(plateau);
  window.set_avg_num_concurrent_requests(
      Mean(absl::MakeSpan(in_flight).subspan(span.begin, span.size())));
  const double rate = Mean(Rates(samples.tokens, slices, span));
  window.set_output_throughput_tok_s(rate);
  window.set_output_throughput_per_gpu_tok_s(rate / std::max(1u, gpus));
  FillLatencies(samples.requests, window);
  const auto needed = std::max<uint32_t>(
      kLeastRequests, std::lround(kLeastRequestsOfAUser * window.avg_num_concurrent_requests()));
  if (window.num_requests() < needed) {
    return NotFound(absl::StrCat("only ", window.num_requests(),
                                 " requests were sent while the load was level, of ", needed,
                                 " needed (three of each user)"));
  }
  window.set_found(true);
  return window;
}

std::vector<double> SteadyRates(const PointSamples& samples, const SteadyWindow& window) {
  Slices slices = Cut(samples.requests);
  const int begin =
      static_cast<int>(std::lround((window.start_ms() - slices.start_ms) / slices.width_ms));
  const int end =
      static_cast<int>(std::lround((window.end_ms() - slices.start_ms) / slices.width_ms));
  return Rates(samples.tokens, slices, {begin, end});
}

}  // namespace regatta
