// Objectives and their count; see goodput.h.
#include "orchestrator/statistics/goodput.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/request_times.h"

namespace regatta {
namespace {

struct ObjectiveName {
  const char* name;
  const char* metric;
};
constexpr ObjectiveName kNames[] = {{"ttft", "ttft"},
                                    {"tpot", "tpot"},
                                    {"e2el", "e2el"},
                                    {"time_to_first_token", "ttft"},
                                    {"inter_token_latency", "tpot"},
                                    {"request_latency", "e2el"}};

absl::StatusOr<Objective> ParseObjective(absl::string_view part) {
  const std::pair<absl::string_view, absl::string_view> fields =
      absl::StrSplit(part, absl::MaxSplits(':', 1));
  const auto* found = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const auto& name) { return fields.first == name.name; });
  if (found == std::end(kNames)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--goodput '", part, "': '", fields.first, "' is none of ttft, tpot, e2el"));
  }
  Objective objective;
  double limit_ms = 0;
  if (!absl::SimpleAtod(fields.second, &limit_ms) || !std::isfinite(limit_ms) || limit_ms <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("--goodput '", part, "': '", fields.second,
                                                   "' is not a number of milliseconds above 0"));
  }
  objective.set_metric(found->metric);
  objective.set_limit_ms(limit_ms);
  return objective;
}

bool Meets(const RequestRecord& r, const Objective& objective) {
  if (objective.metric() == "ttft") return ScheduledTtftMs(r) <= objective.limit_ms();
  if (objective.metric() == "e2el") return ScheduledLatencyMs(r) <= objective.limit_ms();
  return TpotMs(r).value_or(0) <= objective.limit_ms();
}

}  // namespace

absl::StatusOr<std::vector<Objective>> ParseObjectives(const std::vector<std::string>& texts) {
  std::vector<Objective> objectives;
  for (const std::string& text : texts) {
    for (absl::string_view part : absl::StrSplit(text, absl::ByAnyChar(" ,"), absl::SkipEmpty())) {
      ASSIGN_OR_RETURN(Objective objective, ParseObjective(part));
      for (const Objective& other : objectives) {
        if (other.metric() != objective.metric()) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("--goodput '", part, "': there is a limit of ", objective.metric(),
                         " already, ", other.limit_ms(), " ms"));
      }
      objectives.push_back(std::move(objective));
    }
  }
  return objectives;
}

void FillGoodput(const std::vector<RequestRecord>& requests, double seconds, Goodput& goodput) {
  uint32_t good = 0, counted = 0;
  double tokens = 0;
  for (const RequestRecord& r : requests) {
    counted += !r.cancelled();
    if (!Completed(r)) continue;
    const auto& objectives = goodput.objectives();
    if (!std::all_of(objectives.begin(), objectives.end(),
                     [&](const Objective& objective) { return Meets(r, objective); })) {
      continue;
    }
    ++good;
    tokens += r.output_tokens();
  }
  goodput.set_good_requests(good);
  goodput.set_good_fraction(Ratio(good, counted));
  goodput.set_request_goodput_req_s(Ratio(good, seconds));
  goodput.set_output_goodput_tok_s(Ratio(tokens, seconds));
}

}  // namespace regatta
