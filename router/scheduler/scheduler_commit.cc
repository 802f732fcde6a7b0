// Commit: a result resolves through the record of its own plan, never through the slots as they are
// now.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "router/scheduler/scheduler_impl.h"

namespace regatta {

absl::Status Scheduler::Impl::CheckResult(const StepResult& result) {
  if (inflight_ == 0) {
    return absl::InternalError(
        absl::StrCat("result of step ", result.step_id(), ", but no plan is in flight"));
  }
  const PlanRecord& record = Record(0);
  if (result.step_id() != record.step_id) {
    return absl::InternalError(absl::StrCat("result of step ", result.step_id(),
                                            ", expected that of step ", record.step_id));
  }
  const auto expected = static_cast<int>(record.samples.size());
  if (result.slot_size() != expected || result.token_size() != expected ||
      result.logprobs_size() != static_cast<int>(record.num_logprobs)) {
    return absl::InternalError(absl::StrCat(
        "result of step ", record.step_id, " has ", result.slot_size(), " slots, ",
        result.token_size(), " tokens, ", result.logprobs_size(), " log-probabilities; expected ",
        expected, ", ", expected, ", ", record.num_logprobs));
  }
  for (int i = 0; i < expected; ++i) {
    if (result.slot(i) != record.samples[i].slot) {
      return absl::InternalError(absl::StrCat("result of step ", record.step_id, ", entry ", i,
                                              ": slot ", result.slot(i), ", expected ",
                                              record.samples[i].slot));
    }
  }
  return CheckLogprobs(result, record);
}

absl::Status Scheduler::Impl::CheckLogprobs(const StepResult& result,
                                            const PlanRecord& record) const {
  for (const Logprobs& logprobs : result.logprobs()) {
    if (logprobs.top_token_size() == logprobs.top_logprob_size()) continue;
    return absl::InternalError(absl::StrCat("result of step ", record.step_id, " has ",
                                            logprobs.top_token_size(), " top tokens, ",
                                            logprobs.top_logprob_size(), " top log-probabilities"));
  }
  for (const Scored& scored : record.scored) {
    const Logprobs& logprobs = result.logprobs(static_cast<int>(scored.logprobs));
    const int count = static_cast<int>(scored.count);
    const int top = logprobs.prompt_top_token_size();
    if (logprobs.prompt_size() == count && logprobs.prompt_top_logprob_size() == top &&
        top % std::max(1, count) == 0) {
      continue;
    }
    return absl::InternalError(absl::StrCat(
        "result of step ", record.step_id, " has log-probabilities of ", logprobs.prompt_size(),
        " prompt tokens, ", top, " top tokens, ", logprobs.prompt_top_logprob_size(),
        " top log-probabilities; expected ", count, " and as many of each for every token"));
  }
  return absl::OkStatus();
}

void Scheduler::Impl::CommitScores(const StepResult& result, const PlanRecord& record) {
  for (const Scored& scored : record.scored) {
    Sequence& sequence = *sequences_[scored.sequence];
    if (sequence.arrival != scored.arrival) continue;  // Ended since.
    const Logprobs& chunk = result.logprobs(static_cast<int>(scored.logprobs));
    Logprobs& all = *sequence.prompt_logprobs;
    all.mutable_prompt()->MergeFrom(chunk.prompt());
    all.mutable_prompt_top_token()->MergeFrom(chunk.prompt_top_token());
    all.mutable_prompt_top_logprob()->MergeFrom(chunk.prompt_top_logprob());
  }
}

// Sequences lie scattered in memory: fetches what the samples behind the i-th will touch.
void Scheduler::Impl::Prefetch(const PlanRecord& record, size_t i) const {
  if (i + 8 >= record.samples.size()) return;
  const Sequence* later = sequences_[record.samples[i + 8].sequence].get();
  __builtin_prefetch(later);
  __builtin_prefetch(&later->spec.stop_token_ids);
  const std::vector<uint32_t>& tokens = sequences_[record.samples[i + 4].sequence]->spec.tokens;
  __builtin_prefetch(tokens.data() + tokens.size());
}

absl::Status Scheduler::Impl::Commit(const StepResult& result, std::vector<SequenceEvent>& events) {
  RETURN_IF_ERROR(CheckResult(result));
  const PlanRecord& record = Record(0);
  committed_step_ = record.step_id;
  oldest_record_ = (oldest_record_ + 1) % records_.size();
  --inflight_;
  CommitScores(result, record);
  events.reserve(events.size() + record.samples.size());
  for (size_t i = 0; i < record.samples.size(); ++i) {
    const Sample& sample = record.samples[i];
    Prefetch(record, i);
    const Logprobs* logprobs = sample.logprobs >= 0 ? &result.logprobs(sample.logprobs) : nullptr;
    Sequence& sequence = *sequences_[sample.sequence];
    if (sequence.arrival != sample.arrival) continue;  // Ended since: its surplus token is dropped.
    SequenceEvent& event = events.emplace_back();
    // Who draws beside a scored chunk has none, or this chunk was its last.
    if (!record.scored.empty()) event.prompt_logprobs = std::move(sequence.prompt_logprobs);
    CommitToken(sequence, result.token(static_cast<int>(i)), logprobs, event);
  }
  return absl::OkStatus();
}

void Scheduler::Impl::CommitToken(Sequence& sequence, uint32_t token, const Logprobs* logprobs,
                                  SequenceEvent& event) {
  SequenceSpec& spec = sequence.spec;
  spec.tokens.push_back(token);
  ++totals_.output_tokens;
  const uint32_t tokens = sequence.num_tokens();
  const uint32_t outputs = sequence.num_outputs();
  if (sequence.slot != kNoSlot) {
    --slots_[sequence.slot].awaited;
    // The step that drew this token computed the position before it; with it a block may be full.
    const uint32_t full = (tokens - 1) / block_size_;
    if ((tokens - 1) % block_size_ == 0 && sequence.cacheable &&
        !pool_.reusable(sequence.blocks[full - 1])) {
      ExtendKeys(sequence);
      cache_.Publish(sequence.blocks[full - 1], sequence.keys[full - 1]);
    }
  }
  event.id = spec.id;
  event.tokens.push_back(token);
  if (logprobs != nullptr) event.logprobs.push_back(*logprobs);
  event.num_outputs = outputs;
  event.cached_tokens = sequence.cached_tokens;
  event.preemptions = sequence.preemptions;
  // Until min_tokens the sampler does not draw stop ids.
  const auto& stops = spec.stop_token_ids;
  if (outputs > sequence.stop_from && std::find(stops.begin(), stops.end(), token) != stops.end()) {
    event.finish = FINISH_REASON_STOP;
  } else if (tokens == sequence.limit) {
    event.finish = FINISH_REASON_LENGTH;
  } else {
    return;
  }
  Observe(sequence, event.finish == FINISH_REASON_LENGTH && spec.max_output_tokens > 0);
  End(sequence);
}

// Appends the keys of blocks that have become full since; they will be looked up or published.
void Scheduler::Impl::ExtendKeys(Sequence& sequence) const {
  if (!sequence.cacheable) return;
  const std::vector<uint32_t>& tokens = sequence.spec.tokens;
  std::vector<BlockKey>& keys = sequence.keys;
  while ((keys.size() + 1) * block_size_ <= tokens.size()) {
    keys.push_back(MakeBlockKey(options_.prefix_cache_secret,
                                keys.empty() ? BlockKey{} : keys.back(),
                                {tokens.data() + keys.size() * block_size_, block_size_}));
    cache_.Prefetch(keys.back());
  }
}

}  // namespace regatta
