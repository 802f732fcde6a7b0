// Conditions to sentences; see point_warnings.h.
#include "orchestrator/benchmark/point_warnings.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace regatta {

std::vector<std::string> WarningsOf(const PointReport& point, const PointConditions& conditions) {
  constexpr double kReached = 0.9;  // of the asked concurrency, on average
  const RegattaInfo& info = point.regatta();
  std::vector<std::string> warnings;
  if (info.cut_short()) {
    warnings.push_back(absl::StrCat(
        conditions.interrupted
            ? "interrupted"
            : absl::StrCat("cut short after ", conditions.max_time_s, " s (--max-time-per-point)"),
        ": ", info.issued_requests(), " of ", conditions.asked_requests, " requests"));
  }
  if (conditions.reused_prompts > 0) {
    warnings.push_back(absl::StrCat(conditions.reused_prompts,
                                    " prompts were sent before: the data set is too short",
                                    info.prefix_cache() ? ", and the prefix cache is on" : ""));
  }
  if (conditions.exact_lengths && info.length_mismatches() > 0) {
    warnings.push_back(
        absl::StrFormat("%d requests have another output length than asked (mean %.1f, asked %.1f)",
                        info.length_mismatches(), point.request_info().avg_output_length(),
                        info.asked_output_length()));
  }
  const double reached = point.request_info().avg_num_concurrent_requests();
  const std::string& arrival = info.load().arrival();
  const bool closed_loop = arrival.empty() || arrival == "closed-loop";
  if (closed_loop && point.request_info().num_requests() > 0 && info.concurrency() > 0 &&
      reached < kReached * info.concurrency()) {
    warnings.push_back(absl::StrFormat(
        "%.1f requests were in flight on average, %d were asked: more requests would fill it",
        reached, info.concurrency()));
  }
  for (const std::string& reason : info.client().reasons()) {
    warnings.push_back("client-bound: " + reason);
  }
  if (info.preemptions() > 0) {
    warnings.push_back(absl::StrCat(info.preemptions(),
                                    " sequences were recomputed: the KV cache was too small for "
                                    "the load, or a group was lost"));
  }
  return warnings;
}

}  // namespace regatta
