// Columns of records, summarised; see latency_series.h.
#include "orchestrator/statistics/latency_series.h"

#include <vector>

#include "common/check.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/request_times.h"

namespace regatta {
namespace {

void FillGaps(const PointSamples& samples, RegattaInfo& info) {
  CHECK_EQ(samples.gaps_ms.size(), samples.gap_tokens.size());
  std::vector<CountedSample> tokens, chunks;
  tokens.reserve(samples.gaps_ms.size());
  chunks.reserve(samples.gaps_ms.size());
  for (size_t i = 0; i < samples.gaps_ms.size(); ++i) {
    tokens.push_back({samples.gaps_ms[i], samples.gap_tokens[i]});
    chunks.push_back({samples.gaps_ms[i] * samples.gap_tokens[i], 1});
  }
  *info.mutable_itl_ms() = SummarizeCounted(std::move(tokens));
  *info.mutable_icl_ms() = SummarizeCounted(std::move(chunks));
}

// The server's TTFT is its queue and prefill; the rest of the client's is the way there and back.
void FillSplit(const std::vector<RequestRecord>& requests, RegattaInfo& info) {
  std::vector<double> prefill, network, decode;
  for (const RequestRecord& r : requests) {
    if (!Completed(r) || !r.has_prefill_ms()) continue;
    prefill.push_back(r.prefill_ms());
    network.push_back(TtftMs(r) - r.queue_ms() - r.prefill_ms());
    decode.push_back(r.decode_ms());
  }
  if (prefill.empty()) return;
  LatencySplit& split = *info.mutable_latency_split();
  split.set_requests(prefill.size());
  *split.mutable_prefill_ms() = Summarize(std::move(prefill));
  *split.mutable_network_ms() = Summarize(std::move(network));
  *split.mutable_decode_ms() = Summarize(std::move(decode));
}

}  // namespace

void FillLatencySeries(const PointSamples& samples, bool streaming, RegattaInfo& info) {
  std::vector<double> ttft, latency, normalized, queue;
  double tokens = 0, messages = 0;
  uint32_t miscounted = 0, untold = 0;
  for (const RequestRecord& r : samples.requests) {
    if (!Completed(r)) continue;
    ttft.push_back(ScheduledTtftMs(r));
    latency.push_back(ScheduledLatencyMs(r));
    normalized.push_back(Ratio(LatencyMs(r), r.output_tokens()));
    if (r.has_queue_ms()) queue.push_back(r.queue_ms());
    tokens += r.output_tokens();
    messages += r.deltas();
    untold += !r.has_server_output_tokens();
    miscounted += r.has_server_output_tokens() && r.server_output_tokens() != r.output_tokens();
  }
  info.set_token_count_mismatches(miscounted);
  info.set_untold_token_counts(untold);
  const bool due = KnowsSchedule(samples.requests);
  if (due) *info.mutable_latency_scheduled_ms() = Summarize(std::move(latency));
  *info.mutable_ntpot_ms() = Summarize(std::move(normalized));
  if (!queue.empty()) *info.mutable_queue_ms() = Summarize(std::move(queue));
  if (!streaming) return;
  if (due) *info.mutable_ttft_scheduled_ms() = Summarize(std::move(ttft));
  info.set_tokens_per_message(Ratio(tokens, messages));
  FillGaps(samples, info);
  FillSplit(samples.requests, info);
}

}  // namespace regatta
