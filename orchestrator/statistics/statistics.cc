// Percentiles and metrics of one load point; see statistics.h.
#include "orchestrator/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "common/check.h"

namespace regatta {
namespace {

double Mean(absl::Span<const double> samples) {
  if (samples.empty()) return 0;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / samples.size();
}

double Ratio(double numerator, double denominator) {
  return denominator > 0 ? numerator / denominator : 0;
}

double Latency(const RequestRecord& r) { return r.last_token_ms() - r.sent_ms(); }
double Ttft(const RequestRecord& r) { return r.first_token_ms() - r.sent_ms(); }

// One entry per completed request, milliseconds and tokens.
struct Columns {
  std::vector<double> latency, input, output, sequence, queue, user_throughput;
  std::vector<double> ttft, tpot, speed;
  double first_start = 0, last_end = 0;

  double span_seconds() const { return (last_end - first_start) / 1e3; }
};

void AddStreaming(const RequestRecord& r, Columns& columns) {
  columns.ttft.push_back(Ttft(r));
  if (r.output_tokens() < 2) return;
  const double generation_ms = Latency(r) - Ttft(r);
  const double steps = r.output_tokens() - 1.0;
  columns.tpot.push_back(generation_ms / steps);
  // All tokens in one message have no measurable speed.
  if (generation_ms > 0) columns.speed.push_back(steps / (generation_ms / 1e3));
}

Columns Gather(const std::vector<RequestRecord>& requests) {
  Columns columns;
  for (const RequestRecord& r : requests) {
    if (!r.error().empty()) continue;
    const bool first = columns.latency.empty();
    columns.first_start = first ? r.sent_ms() : std::min(columns.first_start, r.sent_ms());
    columns.last_end = first ? r.last_token_ms() : std::max(columns.last_end, r.last_token_ms());
    columns.latency.push_back(Latency(r));
    columns.input.push_back(r.input_tokens());
    columns.output.push_back(r.output_tokens());
    columns.sequence.push_back(static_cast<double>(r.input_tokens()) + r.output_tokens());
    columns.queue.push_back(r.queue_ms());
    columns.user_throughput.push_back(Ratio(r.output_tokens(), Latency(r) / 1e3));
    AddStreaming(r, columns);
  }
  return columns;
}

// Requests per second between the first and the last issue: the inverse of the mean gap.
double IssueRate(const std::vector<RequestRecord>& requests) {
  if (requests.size() < 2) return 0;
  const auto by_sent = [](const RequestRecord& a, const RequestRecord& b) {
    return a.sent_ms() < b.sent_ms();
  };
  const auto [first, last] = std::minmax_element(requests.begin(), requests.end(), by_sent);
  return Ratio(requests.size() - 1.0, (last->sent_ms() - first->sent_ms()) / 1e3);
}

void FillPerformance(const Columns& columns, PointReport& report) {
  const double seconds = columns.span_seconds();
  const double input = std::accumulate(columns.input.begin(), columns.input.end(), 0.0);
  const double output = std::accumulate(columns.output.begin(), columns.output.end(), 0.0);
  const double latency = std::accumulate(columns.latency.begin(), columns.latency.end(), 0.0);
  RequestInfo& info = *report.mutable_request_info();
  info.set_num_requests(columns.latency.size());
  info.set_avg_num_concurrent_requests(Ratio(latency / 1e3, seconds));
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
  *performance.mutable_request_latency_percentiles_ms() = Summarize(columns.latency);
}

void FillStreaming(const Columns& columns, PointReport& report) {
  StreamingMetrics& metrics = *report.mutable_streaming_metrics();
  metrics.set_token_output_speed_tok_s(Mean(columns.speed));
  metrics.set_avg_ttft_ms(Mean(columns.ttft));
  metrics.set_avg_tpot_ms(Mean(columns.tpot));
  *metrics.mutable_tpot_percentiles() = Summarize(columns.tpot);
  *metrics.mutable_ttft_percentiles() = Summarize(columns.ttft);
  *metrics.mutable_gen_tps_percentiles() = Summarize(columns.speed);
}

void FillDataset(const Columns& columns, DatasetInfo& dataset) {
  *dataset.mutable_isl_stats() = Summarize(columns.input);
  *dataset.mutable_osl_stats() = Summarize(columns.output);
  *dataset.mutable_seq_len_stats() = Summarize(columns.sequence);
  dataset.set_num_requests(columns.latency.size());
  dataset.set_max_isl(dataset.isl_stats().maximum());
  dataset.set_max_osl(dataset.osl_stats().maximum());
  dataset.set_max_sequence_length(dataset.seq_len_stats().maximum());
  dataset.set_avg_isl(dataset.isl_stats().average());
  dataset.set_avg_osl(dataset.osl_stats().average());
  dataset.set_avg_sequence_length(dataset.seq_len_stats().average());
}

// Counts over all issued requests: failures, lengths, preemptions, answers.
void FillCounts(const std::vector<RequestRecord>& requests, RegattaInfo& info) {
  double asked = 0, prompt = 0, cached = 0, deltas = 0;
  uint32_t failed = 0, mismatches = 0, early = 0, preemptions = 0, answered = 0, correct = 0;
  for (const RequestRecord& r : requests) {
    asked += r.asked_output_tokens();
    deltas += r.deltas();
    if (!r.error().empty()) {
      ++failed;
      ++(*info.mutable_errors())[r.error()];
      continue;
    }
    prompt += r.input_tokens();
    cached += r.cached_tokens();
    preemptions += r.preemptions();
    mismatches += r.output_tokens() != r.asked_output_tokens();
    early += r.output_tokens() < r.asked_output_tokens();
    answered += r.has_correct();
    correct += r.correct();
  }
  info.set_issued_requests(requests.size());
  info.set_failed_requests(failed);
  info.set_asked_output_length(Ratio(asked, requests.size()));
  info.set_length_mismatches(mismatches);
  info.set_early_stops(early);
  info.set_preemptions(preemptions);
  info.set_cached_prompt_fraction(Ratio(cached, prompt));
  info.set_delta_messages(deltas);
  info.set_answered_requests(answered);
  if (answered > 0) info.set_correct_fraction(Ratio(correct, answered));
}

double QuantileOf(std::vector<double> samples, double q) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return Quantile(samples, q);
}

}  // namespace

double Quantile(absl::Span<const double> sorted, double q) {
  CHECK(!sorted.empty());
  CHECK(q >= 0 && q <= 1) << q;
  const double position = q * (sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}

Percentiles Summarize(std::vector<double> samples) {
  Percentiles result;
  if (samples.empty()) return result;
  std::sort(samples.begin(), samples.end());
  result.set_minimum(samples.front());
  result.set_maximum(samples.back());
  result.set_average(Mean(samples));
  result.set_p50(Quantile(samples, 0.50));
  result.set_p90(Quantile(samples, 0.90));
  result.set_p95(Quantile(samples, 0.95));
  result.set_p99(Quantile(samples, 0.99));
  return result;
}

std::vector<double> EvenQuantiles(std::vector<double> samples, size_t count) {
  CHECK_GE(count, 2u);
  std::vector<double> quantiles;
  if (samples.empty()) return quantiles;
  std::sort(samples.begin(), samples.end());
  for (size_t i = 0; i < count; ++i) {
    quantiles.push_back(Quantile(samples, static_cast<double>(i) / (count - 1)));
  }
  return quantiles;
}

PointReport CompletePoint(PointReport context, const PointSamples& samples) {
  const Columns columns = Gather(samples.requests);
  PointReport& report = context;
  report.mutable_world_info()->set_issue_rate(IssueRate(samples.requests));
  FillPerformance(columns, report);
  FillDataset(columns, *report.mutable_dataset());
  RegattaInfo& info = *report.mutable_regatta();
  FillCounts(samples.requests, info);
  info.set_duration_s(columns.span_seconds());
  *info.mutable_queue_ms() = Summarize(columns.queue);
  if (info.streaming()) {
    FillStreaming(columns, report);
    info.set_p5_user_speed_tok_s(QuantileOf(columns.speed, 0.05));
    info.set_p95_ttft_ms(report.streaming_metrics().ttft_percentiles().p95());
    *info.mutable_itl_ms() =
        Summarize(std::vector<double>(samples.gaps_ms.begin(), samples.gaps_ms.end()));
  }
  return context;
}

}  // namespace regatta
