// Percentiles and metrics of one load point; see statistics.h.
#include "orchestrator/statistics/statistics.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/statistics/certified_tail.h"
#include "orchestrator/statistics/cost.h"
#include "orchestrator/statistics/energy.h"
#include "orchestrator/statistics/goodput.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/intervals.h"
#include "orchestrator/statistics/latency_series.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/request_times.h"
#include "orchestrator/statistics/steady_window.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

constexpr uint32_t kPeakWindowMs = 1000;
constexpr uint32_t kTemplateTokens = 64;  // that a BOS token and a chat template may add

// One entry per completed request, in the order of their ends; milliseconds and tokens.
struct Columns {
  std::vector<double> latency, input, output, sequence, user_throughput;
  std::vector<double> latency_due, ttft_due;  // from when the requests were due
  std::vector<double> ttft, tpot, speed;
  uint32_t instant = 0;  // of several tokens that all came at once: no speed, but none is faster
  DecodingTimes decoding;
  Percentiles (*summarize)(std::vector<double>) = Summarize;
  double first_start = 0, last_end = 0;
  double in_flight_ms =
      0;  // within that time, of completed requests and those cancelled on purpose

  double span_seconds() const { return (last_end - first_start) / 1e3; }
};

// `as_trtllm_bench`: where the last token is the first, TPOT and speed are 0 instead of none.
void AddStreaming(const RequestRecord& r, bool as_trtllm_bench, Columns& columns) {
  const bool zero = as_trtllm_bench && r.output_tokens() == 1;
  columns.ttft.push_back(TtftMs(r));
  columns.ttft_due.push_back(ScheduledTtftMs(r));
  const std::optional<double> tpot = zero ? 0 : TpotMs(r);
  if (tpot.has_value()) columns.tpot.push_back(*tpot);
  const std::optional<double> speed = zero ? 0 : SpeedTokS(r);
  if (speed.has_value()) columns.speed.push_back(*speed);
  columns.instant += r.output_tokens() > 1 && !speed.has_value();
  columns.decoding.Add(r);
}

std::vector<const RequestRecord*> CompletedByEnd(const std::vector<RequestRecord>& requests) {
  std::vector<const RequestRecord*> completed;
  for (const RequestRecord& r : requests) {
    if (Completed(r)) completed.push_back(&r);
  }
  std::stable_sort(completed.begin(), completed.end(), [](const auto* a, const auto* b) {
    return a->last_token_ms() < b->last_token_ms();
  });
  return completed;
}

Columns Gather(const std::vector<RequestRecord>& requests, const std::string& protocol) {
  const bool as_trtllm_bench = protocol == "trtllm-bench";
  Columns columns;
  if (as_trtllm_bench) columns.summarize = SummarizeBySample;
  for (const RequestRecord* record : CompletedByEnd(requests)) {
    const RequestRecord& r = *record;
    const bool first = columns.latency.empty();
    columns.first_start = first ? r.sent_ms() : std::min(columns.first_start, r.sent_ms());
    columns.last_end = r.last_token_ms();
    columns.latency.push_back(LatencyMs(r));
    columns.latency_due.push_back(ScheduledLatencyMs(r));
    columns.input.push_back(r.input_tokens());
    columns.output.push_back(r.output_tokens());
    columns.sequence.push_back(static_cast<double>(r.input_tokens()) + r.output_tokens());
    columns.user_throughput.push_back(Ratio(r.output_tokens(), LatencyMs(r) / 1e3));
    AddStreaming(r, as_trtllm_bench, columns);
  }
  for (const RequestRecord& r : requests) {
    if (!Completed(r) && !r.cancelled()) continue;
    const double from = std::max(r.sent_ms(), columns.first_start);
    columns.in_flight_ms += std::max(0.0, std::min(r.last_token_ms(), columns.last_end) - from);
  }
  return columns;
}

// Requests per second between the first and the last of these times: the inverse of the mean gap.
double RateOf(const std::vector<RequestRecord>& requests, double (*ms)(const RequestRecord&)) {
  if (requests.size() < 2) return 0;
  const auto by_time = [&](const RequestRecord& a, const RequestRecord& b) {
    return ms(a) < ms(b);
  };
  const auto [first, last] = std::minmax_element(requests.begin(), requests.end(), by_time);
  return Ratio(requests.size() - 1.0, (ms(*last) - ms(*first)) / 1e3);
}

void FillRates(const std::vector<RequestRecord>& requests, PointReport& report) {
  report.mutable_world_info()->set_issue_rate(
      RateOf(requests, [](const RequestRecord& r) { return r.sent_ms(); }));
  if (!HasSchedule(LoadOf(report.regatta())) || !KnowsSchedule(requests)) return;
  report.mutable_regatta()->set_scheduled_rate(
      RateOf(requests, [](const RequestRecord& r) { return r.scheduled_ms(); }));
}

void FillPerformance(const Columns& columns, PointReport& report) {
  const double seconds = columns.span_seconds();
  const double input = std::accumulate(columns.input.begin(), columns.input.end(), 0.0);
  const double output = std::accumulate(columns.output.begin(), columns.output.end(), 0.0);
  RequestInfo& info = *report.mutable_request_info();
  info.set_num_requests(columns.latency.size());
  info.set_avg_num_concurrent_requests(Ratio(columns.in_flight_ms / 1e3, seconds));
  info.set_avg_input_length(Mean(columns.input));
  info.set_avg_output_length(Mean(columns.output));
  Performance& performance = *report.mutable_performance();
  performance.set_total_latency_ms(seconds * 1e3);
  performance.set_avg_request_latency_ms(Mean(columns.latency));
  performance.set_request_throughput_req_s(Ratio(columns.latency.size(), seconds));
  performance.set_system_output_throughput_tok_s(Ratio(output, seconds));
  performance.set_system_total_throughput_tok_s(Ratio(input + output, seconds));
  performance.set_output_throughput_per_user_tok_s(Mean(columns.user_throughput));
  performance.set_output_throughput_per_gpu_tok_s(
      Ratio(Ratio(output, seconds), std::max(1u, report.world_info().world_size())));
  *performance.mutable_request_latency_percentiles_ms() = columns.summarize(columns.latency);
}

void FillStreaming(const Columns& columns, PointReport& report) {
  StreamingMetrics& metrics = *report.mutable_streaming_metrics();
  metrics.set_token_output_speed_tok_s(Mean(columns.speed));
  metrics.set_avg_ttft_ms(Mean(columns.ttft));
  metrics.set_avg_tpot_ms(Mean(columns.tpot));
  *metrics.mutable_tpot_percentiles() = columns.summarize(columns.tpot);
  *metrics.mutable_ttft_percentiles() = columns.summarize(columns.ttft);
  *metrics.mutable_gen_tps_percentiles() = columns.summarize(columns.speed);
}

void FillDataset(const Columns& columns, DatasetInfo& dataset) {
  *dataset.mutable_isl_stats() = columns.summarize(columns.input);
  *dataset.mutable_osl_stats() = columns.summarize(columns.output);
  *dataset.mutable_seq_len_stats() = columns.summarize(columns.sequence);
  dataset.set_num_requests(columns.latency.size());
  dataset.set_max_isl(dataset.isl_stats().maximum());
  dataset.set_max_osl(dataset.osl_stats().maximum());
  dataset.set_max_sequence_length(dataset.seq_len_stats().maximum());
  dataset.set_avg_isl(dataset.isl_stats().average());
  dataset.set_avg_osl(dataset.osl_stats().average());
  dataset.set_avg_sequence_length(dataset.seq_len_stats().average());
}

// The most frequent texts; texts may hold ids and ports, so there can be as many as requests.
void FillErrors(const std::map<std::string, uint32_t>& errors, RegattaInfo& info) {
  constexpr size_t kKinds = 20;
  std::vector<std::pair<std::string, uint32_t>> ranked(errors.begin(), errors.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  uint32_t others = 0;
  for (size_t i = 0; i < ranked.size(); ++i) {
    if (i < kKinds) {
      (*info.mutable_errors())[ranked[i].first] = ranked[i].second;
    } else {
      others += ranked[i].second;
    }
  }
  if (others > 0) {
    (*info.mutable_errors())[absl::StrCat("others, of ", ranked.size() - kKinds,
                                          " more kinds: see requests.jsonl")] = others;
  }
}

// Counts over all issued requests: failures, lengths, preemptions, answers.
void FillCounts(const std::vector<RequestRecord>& requests, RegattaInfo& info) {
  double asked = 0, prompt = 0, cached = 0, deltas = 0;
  uint32_t cancelled = 0;
  uint32_t failed = 0, mismatches = 0, early = 0, preemptions = 0, answered = 0, correct = 0;
  std::map<std::string, uint32_t> errors;
  for (const RequestRecord& r : requests) {
    if (!r.cancelled()) asked += r.asked_output_tokens();
    deltas += r.deltas();
    if (!r.error().empty()) {
      ++failed;
      ++errors[r.error()];
      continue;
    }
    cancelled += r.cancelled();
    if (r.cancelled()) continue;
    prompt += r.input_tokens();
    cached += r.cached_tokens();
    preemptions += r.preemptions();
    mismatches += r.output_tokens() != r.asked_output_tokens();
    early += r.output_tokens() < r.asked_output_tokens();
    answered += r.has_correct();
    correct += r.correct();
  }
  FillErrors(errors, info);
  info.set_issued_requests(requests.size());
  info.set_failed_requests(failed);
  info.set_cancelled_requests(cancelled);
  info.set_asked_output_length(Ratio(asked, requests.size() - cancelled));
  info.set_length_mismatches(mismatches);
  info.set_early_stops(early);
  info.set_preemptions(preemptions);
  info.set_cached_prompt_fraction(Ratio(cached, prompt));
  info.set_delta_messages(deltas);
  info.set_answered_requests(answered);
  if (answered > 0) info.set_correct_fraction(Ratio(correct, answered));
}

// What the server counts of prompts whose tokens were sent.
void FillPromptCounts(const std::vector<RequestRecord>& requests, RegattaInfo& info) {
  double asked = 0;
  uint32_t known = 0, mismatches = 0;
  for (const RequestRecord& r : requests) {
    if (!Completed(r) || !r.has_asked_input_tokens()) continue;
    ++known;
    asked += r.asked_input_tokens();
    mismatches += r.input_tokens() < r.asked_input_tokens() ||
                  r.input_tokens() > uint64_t{r.asked_input_tokens()} + kTemplateTokens;
  }
  if (known > 0) info.set_asked_input_length(asked / known);
  info.set_prompt_mismatches(mismatches);
}

// The slowest twentieth of users; requests without a speed are as fast as the fastest.
double P5UserSpeed(const Columns& columns) {
  std::vector<double> speeds = columns.speed;
  if (speeds.empty()) return 0;
  speeds.insert(speeds.end(), columns.instant, *std::max_element(speeds.begin(), speeds.end()));
  return QuantileOf(std::move(speeds), 0.05);
}

// How certain the means of this one run are, and its tails.
void FillCertainty(const Columns& columns, const PointSamples& samples, bool streamed,
                   RegattaInfo& info) {
  const auto add = [&info](const char* metric, const std::vector<double>& values) {
    const auto interval = BatchMeansInterval(metric, values);
    if (interval.has_value()) *info.add_intervals() = *interval;
  };
  const auto certify = [&info](const char* metric, const std::vector<double>& values) {
    for (double quantile : {0.95, 0.99}) {
      *info.add_tails() = CertifyTail(metric, quantile, values);
    }
  };
  if (info.steady_window().found()) {
    add("steady_window.output_throughput_tok_s", SteadyRates(samples, info.steady_window()));
  }
  const bool due = IsFromDue(info);
  const std::vector<double>& latency = due ? columns.latency_due : columns.latency;
  const std::vector<double>& ttft = due ? columns.ttft_due : columns.ttft;
  add(due ? "latency_scheduled_ms.average" : "avg_request_latency_ms", latency);
  certify(due ? "latency_scheduled_ms" : "latency_ms", latency);
  if (!streamed) return;
  const auto speed =
      BatchRatioInterval("user_speed_tok_s", columns.decoding.tokens, columns.decoding.seconds);
  if (speed.has_value()) *info.add_intervals() = *speed;
  add(due ? "ttft_scheduled_ms.average" : "avg_ttft_ms", ttft);
  add("avg_tpot_ms", columns.tpot);
  certify(due ? "ttft_scheduled_ms" : "ttft_ms", ttft);
  certify("tpot_ms", columns.tpot);
}

// What depends on token arrivals: of answers in one piece they say nothing.
void FillTokenTimes(const Columns& columns, const PointSamples& samples, PointReport& report) {
  RegattaInfo& info = *report.mutable_regatta();
  FillStreaming(columns, report);
  if (const auto speed = columns.decoding.SpeedTokS()) info.set_user_speed_tok_s(*speed);
  info.set_p5_user_speed_tok_s(P5UserSpeed(columns));
  info.set_p95_ttft_ms(report.streaming_metrics().ttft_percentiles().p95());
  if (columns.span_seconds() * 1e3 >= kPeakWindowMs) {
    info.set_peak_output_throughput_tok_s(samples.tokens.MostWithin(kPeakWindowMs));
  }
  *info.mutable_steady_window() = FindSteadyWindow(samples, report.world_info().world_size());
}

// Whether tokens have times: not of most answers that came whole, whatever was asked.
bool Streamed(const Columns& columns, RegattaInfo& info) {
  if (!info.streaming()) return false;
  info.set_whole_answers(columns.decoding.Whole());
  return 2 * info.whole_answers() <= columns.decoding.tokens.size();
}

// Without times of tokens nobody can say which requests met an objective for them.
void FillGoodputOf(const PointSamples& samples, double seconds, bool streamed, RegattaInfo& info) {
  const auto& objectives = info.goodput().objectives();
  const bool judged = streamed || std::all_of(objectives.begin(), objectives.end(),
                                              [](const auto& o) { return o.metric() == "e2el"; });
  if (judged) {
    FillGoodput(samples.requests, seconds, *info.mutable_goodput());
  } else {
    info.clear_goodput();
  }
}

}  // namespace

PointReport CompletePoint(PointReport context, const PointSamples& samples) {
  const Columns columns = Gather(samples.requests, context.regatta().protocol());
  PointReport& report = context;
  FillRates(samples.requests, report);
  FillPerformance(columns, report);
  FillDataset(columns, *report.mutable_dataset());
  RegattaInfo& info = *report.mutable_regatta();
  FillCounts(samples.requests, info);
  FillPromptCounts(samples.requests, info);
  info.set_duration_s(columns.span_seconds());
  const bool streamed = Streamed(columns, info);
  FillLatencySeries(samples, streamed, info);
  if (streamed) FillTokenTimes(columns, samples, report);
  FillCertainty(columns, samples, streamed, info);
  if (info.has_goodput()) FillGoodputOf(samples, columns.span_seconds(), streamed, info);
  if (info.has_energy()) FillEnergy(report);
  if (info.has_cost()) FillCost(report);
  return context;
}

}  // namespace regatta
