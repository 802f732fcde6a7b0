// From sequence events to client deltas; see output_processor.h.
#include "router/output_processor.h"

#include <utility>

#include "common/check.h"

namespace regatta {
namespace {

void AddLogprobs(const SequenceEvent& event, TokenDelta& delta) {
  for (const Logprobs& logprobs : event.logprobs) {
    delta.add_logprobs(logprobs.sampled());
    if (logprobs.top_token().empty()) continue;  // Only the sampled token's was asked for.
    TopLogprobs& top = *delta.add_top_logprobs();
    *top.mutable_token_ids() = logprobs.top_token();
    *top.mutable_logprobs() = logprobs.top_logprob();
  }
}

// The columns of all places, cut into places.
void AddPromptLogprobs(const Logprobs& columns, TokenDelta& delta) {
  PromptLogprobs& prompt = *delta.mutable_prompt_logprobs();
  *prompt.mutable_logprobs() = columns.prompt();
  const int places = columns.prompt_size();
  const int top = places == 0 ? 0 : columns.prompt_top_token_size() / places;
  for (int place = 0; top > 0 && place < places; ++place) {
    const auto tokens = columns.prompt_top_token().begin() + place * top;
    const auto logprobs = columns.prompt_top_logprob().begin() + place * top;
    TopLogprobs& listed = *prompt.add_top_logprobs();
    listed.mutable_token_ids()->Assign(tokens, tokens + top);
    listed.mutable_logprobs()->Assign(logprobs, logprobs + top);
  }
}

}  // namespace

OutputProcessor::OutputProcessor(OutputOptions options, const Tokenizer* tokenizer)
    : options_(std::move(options)) {
  times_.set_arrived_ns(options_.arrived_ns);
  usage_.set_prompt_tokens(options_.prompt_tokens);
  if (!options_.return_text && options_.stops.empty()) return;
  CHECK(tokenizer != nullptr);
  detokenizer_.emplace(*tokenizer, options_.skip_special_tokens);
  if (options_.continue_text) detokenizer_->Continue();
  if (!options_.stops.empty()) matcher_.emplace(std::move(options_.stops), options_.include_stop);
}

void OutputProcessor::Scheduled(int64_t now_ns) {
  if (!started()) times_.set_scheduled_ns(now_ns);
}

void OutputProcessor::Moved() {
  if (!started()) return;
  moved_ = true;
  earlier_preemptions_ = usage_.preemptions() + 1;
  usage_.set_preemptions(earlier_preemptions_);
}

std::string OutputProcessor::ShownText(const SequenceEvent& event) {
  std::vector<int32_t> ids(event.tokens.begin(), event.tokens.end());
  // The token that ended the sequence by its id is no part of the text.
  if (event.finish == FINISH_REASON_STOP && !options_.include_stop && !ids.empty()) ids.pop_back();
  const bool last = event.finish != FINISH_REASON_NONE;
  std::string text = detokenizer_->Append(ids);
  if (last) text += detokenizer_->Finish();
  if (!matcher_ || event.num_outputs < options_.min_tokens) return text;
  std::string shown = matcher_->Append(text);
  stopped_ = matcher_->matched();
  if (last && !stopped_) shown += matcher_->Flush();
  return shown;
}

TokenDelta OutputProcessor::Process(const SequenceEvent& event, int64_t now_ns) {
  CHECK(!finished_);
  TokenDelta delta;
  delta.set_count(event.tokens.size());
  delta.set_engine_time_ns(now_ns);
  usage_.set_output_tokens(event.num_outputs);
  usage_.set_preemptions(earlier_preemptions_ + event.preemptions);
  if (!moved_) usage_.set_cached_tokens(event.cached_tokens);
  if (!event.tokens.empty()) {
    if (times_.first_token_ns() == 0) times_.set_first_token_ns(now_ns);
    times_.set_last_token_ns(now_ns);
  }
  if (options_.return_token_ids) {
    delta.mutable_token_ids()->Assign(event.tokens.begin(), event.tokens.end());
  }
  AddLogprobs(event, delta);
  if (event.prompt_logprobs != nullptr) AddPromptLogprobs(*event.prompt_logprobs, delta);
  if (detokenizer_) {
    std::string text = ShownText(event);
    if (options_.return_text) delta.set_text(std::move(text));
  }
  if (stopped_) {
    Complete(FINISH_REASON_STOP, delta);
  } else if (event.finish != FINISH_REASON_NONE) {
    Complete(event.finish, delta);
  }
  return delta;
}

TokenDelta OutputProcessor::End(FinishReason reason, int64_t now_ns) {
  CHECK(!finished_);
  TokenDelta delta;
  delta.set_engine_time_ns(now_ns);
  if (options_.return_text) {
    if (matcher_) delta.set_text(matcher_->Flush());
    delta.mutable_text()->append(detokenizer_->Finish());
  }
  Complete(reason, delta);
  return delta;
}

void OutputProcessor::Complete(FinishReason reason, TokenDelta& delta) {
  finished_ = true;
  delta.set_finish_reason(reason);
  *delta.mutable_usage() = usage_;
  *delta.mutable_times() = times_;
}

}  // namespace regatta
