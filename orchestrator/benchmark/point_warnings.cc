// Conditions to sentences; see point_warnings.h.
#include "orchestrator/benchmark/point_warnings.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/offered_load.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

// A 99 % quantile from the schedule that is higher by this factor and time tells of waiting.
constexpr double kWaited = 1.1, kWaitedMs = 10;
constexpr double kHeldMs = 1;       // and by this, where places were limited and the rate missed
constexpr double kFewWhole = 0.05;  // of the requests
constexpr double kSpeedSkew = 1.5;  // of the mean speed over the pooled one

void AddLengthWarnings(const PointReport& point, bool exact, std::vector<std::string>& warnings) {
  const RegattaInfo& info = point.regatta();
  if (info.prompt_mismatches() > 0) {
    warnings.push_back(absl::StrFormat(
        "of %d requests the server counts another prompt length than was sent (mean %.1f, sent "
        "%.1f), which no template explains: it cuts prompts or miscounts, and input lengths and "
        "total throughput are by its count",
        info.prompt_mismatches(), point.request_info().avg_input_length(),
        info.asked_input_length()));
  }
  if (exact && info.length_mismatches() > 0) {
    warnings.push_back(absl::StrFormat(
        "%d requests have another output length than asked (mean %.1f, asked %.1f)%s",
        info.length_mismatches(), point.request_info().avg_output_length(),
        info.asked_output_length(),
        info.early_stops() == 0
            ? ""
            : absl::StrCat("; ", info.early_stops(),
                           " ended early: the server does not ignore end tokens, or its context "
                           "is too short")));
  }
  if (info.token_count_mismatches() > 0) {
    warnings.push_back(absl::StrCat("of ", info.token_count_mismatches(),
                                    " requests the server counts other tokens than arrived"));
  }
  if (info.untold_token_counts() > 0) {
    warnings.push_back(absl::StrCat(
        "of ", info.untold_token_counts(),
        " requests the server did not tell its token counts (usage): messages count as tokens, "
        "though one may hold several"));
  }
}

// Requests in flight, without ramp and drain where they can be told apart.
void AddConcurrencyWarning(const PointReport& point, std::vector<std::string>& warnings) {
  const RegattaInfo& info = point.regatta();
  const bool steady = info.steady_window().found();
  const double reached = steady ? info.steady_window().avg_num_concurrent_requests()
                                : point.request_info().avg_num_concurrent_requests();
  if (reached >= kReached * info.concurrency()) return;
  if (info.offered().mean_running() >= kReached * info.concurrency()) return;  // without ramp
  warnings.push_back(absl::StrFormat(
      "%.1f requests were in flight on average%s, %d were asked: more requests would fill it",
      reached, steady ? " in the steady window" : "", info.concurrency()));
}

// Requests that waited in the client show only from their schedule. Also where the rate was reached
// on the whole: a server that stalled once, and that the client then caught up with.
void AddScheduleWarning(const PointReport& point, std::vector<std::string>& warnings) {
  const RegattaInfo& info = point.regatta();
  const double due_ms = info.latency_scheduled_ms().p99();
  const double sent_ms = point.performance().request_latency_percentiles_ms().p99();
  const bool waited = due_ms > kWaited * sent_ms + kWaitedMs;
  // For a place, rather than for the client itself.
  const bool held =
      info.concurrency() > 0 && due_ms > sent_ms + info.client().send_lag_ms().p99() + kHeldMs;
  // Drawn gaps may add up to another rate than the one asked for.
  const bool missed = point.world_info().issue_rate() < kReached * info.scheduled_rate();
  if (!waited && !(held && missed)) return;
  const std::string rates =
      missed ? absl::StrFormat("%.1f requests a second were sent, %.1f were due: ",
                               point.world_info().issue_rate(), info.scheduled_rate())
             : "";
  warnings.push_back(absl::StrFormat(
      "%srequests waited in the client%s: latency p99 is %.0f ms from when they were due, which is "
      "what users wait, %.0f ms from when they were sent",
      rates, held ? " for places (--concurrency)" : "", due_ms, sent_ms));
}

void AddLoadWarning(const PointReport& point, std::vector<std::string>& warnings) {
  if (point.request_info().num_requests() == 0) return;
  if (HasSchedule(LoadOf(point.regatta()))) {
    AddScheduleWarning(point, warnings);
  } else if (point.regatta().load().arrival() != kBurst) {
    AddConcurrencyWarning(point, warnings);
  }
}

// Behind a proxy that buffers a server seems to stream nothing, or infinitely fast.
void AddWholeWarning(const PointReport& point, std::vector<std::string>& warnings) {
  const uint32_t whole = point.regatta().whole_answers();
  const uint32_t requests = point.request_info().num_requests();
  if (whole <= kFewWhole * requests) return;
  warnings.push_back(absl::StrFormat(
      "the answers of %d of %d requests came whole, all tokens at once (does a proxy buffer them?)"
      ": %s",
      whole, requests,
      point.has_streaming_metrics()
          ? "they count as if they had been decoded in no time"
          : "no token has a time, so there is no TTFT, TPOT, decoding speed or goodput by them"));
}

// Answers whose tokens came together count in trtllm-bench's mean as if all were that fast.
void AddSpeedWarning(const PointReport& point, std::vector<std::string>& warnings) {
  const double mean = point.streaming_metrics().token_output_speed_tok_s();
  const double pooled = DecodingSpeed(point);
  if (pooled <= 0 || mean <= kSpeedSkew * pooled) return;
  warnings.push_back(absl::StrFormat(
      "tokens of some answers arrived together: the mean of requests' speeds, %.1f tok/s, is %.1f "
      "times the %.1f tok/s of all their tokens over all their time, which everything but "
      "trtllm-bench's lines takes",
      mean, mean / pooled, pooled));
}

std::string WhyCutShort(const PointConditions& conditions) {
  if (conditions.interrupted) return "interrupted";
  if (conditions.stalled)
    return "given up: no token of any request came any more (--stall-timeout)";
  return absl::StrCat("cut short after ", conditions.max_time_s, " s (--max-time-per-point)");
}

void AddThrottlingWarnings(const EnergyReport& energy, std::vector<std::string>& warnings) {
  for (const GpuEnergy& gpu : energy.gpus()) {
    if (!gpu.used() || gpu.throttled_fraction() <= 0) continue;
    warnings.push_back(absl::StrFormat("GPU %d was slowed down in %.0f %% of the samples: %s",
                                       gpu.index(), gpu.throttled_fraction() * 100,
                                       absl::StrJoin(gpu.throttle_reasons(), ", ")));
  }
}

}  // namespace

std::vector<std::string> WarningsOf(const PointReport& point, const PointConditions& conditions) {
  const RegattaInfo& info = point.regatta();
  std::vector<std::string> warnings;
  if (info.cut_short()) {
    warnings.push_back(absl::StrCat(WhyCutShort(conditions), ": ", info.issued_requests(), " of ",
                                    conditions.asked_requests, " requests"));
  }
  if (!info.cut_short() && info.issued_requests() < conditions.asked_requests) {
    warnings.push_back(
        absl::StrCat(info.issued_requests(), " of ", conditions.asked_requests,
                     " requests were sent: sessions end with a turn that fails or is "
                     "cancelled"));
  }
  if (conditions.prompts_sent_before && info.prefix_cache()) {
    warnings.push_back(
        "the part of the sweep that was cut short may have left prompts of this point in the "
        "server's prefix cache; with --cache-salt they would have been new");
  }
  if (conditions.reused_prompts > 0) {
    warnings.push_back(absl::StrCat(conditions.reused_prompts,
                                    " prompts were sent before: the data set is too short",
                                    info.prefix_cache() ? ", and the prefix cache is on" : ""));
  }
  AddLengthWarnings(point, conditions.exact_lengths, warnings);
  if (!info.prefix_cache() && info.cached_prompt_fraction() > 0) {
    warnings.push_back(absl::StrFormat(
        "%.1f %% of the prompt tokens came from the server's prefix cache, which was to stay out",
        info.cached_prompt_fraction() * 100));
  }
  AddLoadWarning(point, warnings);
  AddWholeWarning(point, warnings);
  AddSpeedWarning(point, warnings);
  if (!info.layout_change().empty()) {
    warnings.push_back("layout changed during the point: " + info.layout_change());
  }
  AddThrottlingWarnings(info.energy(), warnings);
  for (const std::string& reason : info.client().reasons()) {
    warnings.push_back("client-bound: " + reason);
  }
  if (info.preemptions() > 0) {
    warnings.push_back(absl::StrCat(info.preemptions(), " sequences were recomputed: ",
                                    info.layout_change().empty()
                                        ? "the KV cache was too small for the load"
                                        : "the layout changed under them"));
  }
  return warnings;
}

}  // namespace regatta
