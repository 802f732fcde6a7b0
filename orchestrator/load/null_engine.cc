// Due times in a heap; see null_engine.h.
#include "orchestrator/load/null_engine.h"

#include <algorithm>
#include <limits>

namespace regatta {

void NullEngine::Start(uint64_t tag, const GenerateRequest& request, int64_t now_ns) {
  const uint32_t prompt = request.has_token_ids() ? request.token_ids().ids_size() : 1;
  running_[tag] = {prompt, std::max(1u, request.max_tokens()), 0, now_ns, false};
  due_.push({now_ns + timing_.ttft_ns, tag});
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
  delta_.mutable_times()->set_first_token_ns(running.started_ns + timing_.ttft_ns);
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
      due_.push({due.time_ns + timing_.interval_ns, due.tag});
    }
    emit(due.tag, delta_);
  }
}

}  // namespace regatta
