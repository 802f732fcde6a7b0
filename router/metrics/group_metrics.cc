// Recording of steps, tokens and requests; see group_metrics.h.
#include "router/metrics/group_metrics.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "router/metrics/buckets.h"

namespace regatta {

GroupBounds::GroupBounds(uint32_t max_tokens) : sizes_(SizeBounds(max_tokens)) {}

const std::vector<double>& GroupBounds::Of(GroupHistogram histogram) const {
  switch (histogram) {
    case GroupHistogram::kFirstToken:
      return FirstTokenBounds();
    case GroupHistogram::kInterToken:
    case GroupHistogram::kTimePerOutputToken:
      return TokenTimeBounds();
    case GroupHistogram::kEndToEnd:
    case GroupHistogram::kQueue:
    case GroupHistogram::kInference:
    case GroupHistogram::kPrefill:
    case GroupHistogram::kDecode:
      return RequestTimeBounds();
    case GroupHistogram::kPromptTokens:
    case GroupHistogram::kGenerationTokens:
      return sizes_;
    case GroupHistogram::kStepTokens:
      return StepTokensBounds();
    case GroupHistogram::kStepSequences:
      return StepSequencesBounds();
    case GroupHistogram::kStep:
    case GroupHistogram::kStepSchedule:
    case GroupHistogram::kStepCompute:
    case GroupHistogram::kStepCommit:
    case GroupHistogram::kStepPublish:
    case GroupHistogram::kStepMasks:
    case GroupHistogram::kMaskCompute:
      return StepTimeBounds();
    case GroupHistogram::kCount:
      break;
  }
  CHECK(false) << "no such histogram";
}

GroupMetrics::GroupMetrics(const GroupBounds& bounds, GroupFacts facts)
    : facts_(std::move(facts)), ranks_(std::make_unique<RankMetrics[]>(facts_.num_ranks)) {
  for (size_t i = 0; i < kNumGroupHistograms; ++i) {
    histograms_[i] = std::make_unique<Histogram>(bounds.Of(static_cast<GroupHistogram>(i)));
  }
}

void GroupMetrics::StepPlanned(uint32_t sequences, uint32_t tokens, int64_t schedule_ns) {
  of(GroupHistogram::kStepSequences).Observe(sequences);
  of(GroupHistogram::kStepTokens).Observe(tokens);
  ObserveNs(GroupHistogram::kStepSchedule, schedule_ns);
}

void GroupMetrics::StepCommitted(int64_t took_ns, uint64_t compute_ns, int64_t commit_ns) {
  ObserveNs(GroupHistogram::kStep, took_ns);
  if (compute_ns > 0) ObserveNs(GroupHistogram::kStepCompute, static_cast<int64_t>(compute_ns));
  ObserveNs(GroupHistogram::kStepCommit, commit_ns);
}

void GroupMetrics::Finished(const EngineTimes& times, const Usage& usage, int64_t now_ns) {
  const int64_t decode_ns = times.last_token_ns() - times.first_token_ns();
  ObserveNs(GroupHistogram::kEndToEnd, now_ns - times.arrived_ns());
  ObserveNs(GroupHistogram::kQueue, times.scheduled_ns() - times.arrived_ns());
  ObserveNs(GroupHistogram::kInference, times.last_token_ns() - times.scheduled_ns());
  ObserveNs(GroupHistogram::kPrefill, times.first_token_ns() - times.scheduled_ns());
  ObserveNs(GroupHistogram::kDecode, decode_ns);
  ObserveNs(GroupHistogram::kTimePerOutputToken,
            usage.output_tokens() > 1 ? decode_ns / (usage.output_tokens() - 1) : 0);
  of(GroupHistogram::kPromptTokens).Observe(usage.prompt_tokens());
  of(GroupHistogram::kGenerationTokens).Observe(usage.output_tokens());
}

void GroupMetrics::SetState(const SchedulerState& state) {
  of(GroupCounter::kComputedTokens).Set(state.prompt_tokens);
  of(GroupCounter::kQueriedTokens).Set(state.queried_tokens);
  of(GroupCounter::kCachedTokens).Set(state.cached_tokens);
  of(GroupCounter::kPreemptions).Set(state.preemptions);
  of(GroupCounter::kSteps).Set(state.steps);
  running_.Set(state.running);
  waiting_.Set(state.waiting);
  used_blocks_.Set(state.used_blocks);
  cached_blocks_.Set(state.cached_blocks);
}

}  // namespace regatta
