// Rate lists and request counts; see request_rates.h.
#include "orchestrator/benchmark/request_rates.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr size_t kMaxRates = 1000;
constexpr double kSecondsOfAPoint = 30;
constexpr double kFewest = 100, kMost = 100'000;  // requests of a point by default

absl::Status BadRates(absl::string_view part, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("--request-rate '", part, "': ", problem,
                   "; write 2.5, 1,2,4, 1:64:x2 (multiply), 1:4:+0.5 (add) or inf"));
}

absl::StatusOr<double> ParseRate(absl::string_view part, absl::string_view text) {
  double rate = 0;
  if (!absl::SimpleAtod(text, &rate))
    return BadRates(part, absl::StrCat("'", text, "' is no number"));
  if (!(rate > 0)) return BadRates(part, absl::StrCat(text, " is not above 0"));
  return rate;
}

absl::Status AppendRange(absl::string_view part, double first, double last, absl::string_view step,
                         std::vector<double>& rates) {
  const bool multiply = absl::ConsumePrefix(&step, "x");
  if (!multiply && !absl::ConsumePrefix(&step, "+")) {
    return BadRates(part, absl::StrCat("the step '", step, "' begins with neither x nor +"));
  }
  ASSIGN_OR_RETURN(const double by, ParseRate(part, step));
  if (multiply && by <= 1) return BadRates(part, "the factor must be above 1");
  if (std::isinf(last) || last < first) {
    return BadRates(part, absl::StrCat("the end ", last, " is infinite or below ", first));
  }
  constexpr double kRounding = 1 + 1e-9;  // of repeated steps, so that they meet the end
  for (double rate = first; rate <= last * kRounding; rate = multiply ? rate * by : rate + by) {
    if (rates.size() == kMaxRates) return BadRates(part, absl::StrCat("more than ", kMaxRates));
    rates.push_back(rate);
  }
  return absl::OkStatus();
}

absl::Status AppendPart(absl::string_view part, std::vector<double>& rates) {
  const std::vector<absl::string_view> fields = absl::StrSplit(part, ':');
  ASSIGN_OR_RETURN(const double first, ParseRate(part, fields[0]));
  if (fields.size() == 1) {
    rates.push_back(first);
    return absl::OkStatus();
  }
  if (fields.size() != 3) return BadRates(part, "a range has three fields, first:last:step");
  ASSIGN_OR_RETURN(const double last, ParseRate(part, fields[1]));
  return AppendRange(part, first, last, fields[2], rates);
}

}  // namespace

absl::StatusOr<std::vector<double>> ParseRequestRates(absl::string_view text) {
  std::vector<double> rates;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    RETURN_IF_ERROR(AppendPart(absl::StripAsciiWhitespace(part), rates));
  }
  std::sort(rates.begin(), rates.end());
  rates.erase(std::unique(rates.begin(), rates.end()), rates.end());
  return rates;
}

std::vector<LoadPoint> PlanRates(const std::vector<double>& rates, uint32_t concurrency,
                                 uint32_t asked_requests) {
  std::vector<LoadPoint> points;
  for (double rate : rates) {
    const double usual = std::isinf(rate) ? kFewest : std::ceil(kSecondsOfAPoint * rate);
    const uint32_t some = static_cast<uint32_t>(std::clamp(usual, kFewest, kMost));
    points.push_back({concurrency, asked_requests > 0 ? asked_requests : some, rate});
  }
  return points;
}

}  // namespace regatta
