// Due times in a heap; see null_engine.h.
#include "orchestrator/load/null_engine.h"

#include <algorithm>
#include <limits>

#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

// Uniform in [0, 1).
double Draw(uint64_t seed, RandomStream stream, uint64_t tag, uint64_t index) {
  return (DrawBits(seed, stream, tag, index) >> 11) * 0x1p-53;
}

}  // namespace

int64_t NullTiming::WaitNs(uint64_t tag, uint32_t index) const {
  constexpr double kSlow = 10;
  double wait_ns = index == 0 ? ttft_ns : interval_ns;
  if (index == 0 && Draw(seed, RandomStream::kNullStart, tag, 0) < slow_starts) wait_ns *= kSlow;
  if (jitter > 0) wait_ns *= 1 + jitter * (2 * Draw(seed, RandomStream::kNullWait, tag, index) - 1);
  if (stall_every > 0 && index > 0 && index % stall_every == 0) wait_ns += stall_ns;
  return static_cast<int64_t>(wait_ns);
}

uint32_t NullTiming::OutputTokens(uint64_t tag, uint32_t asked) const {
  if (asked < 2 || Draw(seed, RandomStream::kNullEnd, tag, 0) >= early_ends) return asked;
  return asked / 2;
}

void NullEngine::Start(uint64_t tag, const GenerateRequest& request, int64_t now_ns) {
  const uint32_t prompt = request.has_token_ids() ? request.token_ids().ids_size() : 1;
  const uint32_t output = timing_.OutputTokens(tag, std::max(1u, request.max_tokens()));
  const int64_t first_ns = now_ns + timing_.WaitNs(tag, 0);
  running_[tag] = {prompt, output, 0, 0, now_ns, first_ns, false};
  due_.push({first_ns, tag});
}

void NullEngine::Cancel(uint64_t tag, int64_t now_ns) {
  const auto found = running_.find(tag);
  if (found == running_.end() || found->second.cancelled) return;
  found->second.cancelled = true;
  due_.push({now_ns, tag});
}

int64_t NullEngine::NextDueNs() const {
  return due_.empty() ? std::numeric_limits<int64_t>::max() : due_.top().time_ns;
}

bool NullEngine::MakeDelta(int64_t due_ns, Running& running) {
  delta_.Clear();
  delta_.set_engine_time_ns(due_ns);
  if (!running.cancelled) {
    const uint32_t left = running.output_tokens - running.sent;
    delta_.set_count(std::min(left, timing_.tokens_per_message));
    running.sent += delta_.count();
  }
  if (!running.cancelled && running.sent < running.output_tokens) return false;
  delta_.set_finish_reason(running.cancelled ? FINISH_REASON_CANCELLED : FINISH_REASON_LENGTH);
  delta_.mutable_usage()->set_prompt_tokens(running.prompt_tokens);
  delta_.mutable_usage()->set_output_tokens(running.sent);
  delta_.mutable_times()->set_arrived_ns(running.started_ns);
  delta_.mutable_times()->set_scheduled_ns(running.started_ns);
  delta_.mutable_times()->set_first_token_ns(running.first_ns);
  delta_.mutable_times()->set_last_token_ns(due_ns);
  return true;
}

void NullEngine::Advance(int64_t now_ns, uint32_t limit, const Emit& emit) {
  for (uint32_t emitted = 0; emitted < limit && NextDueNs() <= now_ns; ++emitted) {
    const Due due = due_.top();
    due_.pop();
    const auto found = running_.find(due.tag);
    if (found == running_.end()) continue;  // the entry that a cancellation left behind
    const bool last = MakeDelta(due.time_ns, found->second);
    if (last) {
      running_.erase(found);
    } else {
      const int64_t wait_ns = timing_.WaitNs(due.tag, ++found->second.messages);
      due_.push({due.time_ns + wait_ns, due.tag});
    }
    emit(due.tag, delta_);
  }
}

}  // namespace regatta
