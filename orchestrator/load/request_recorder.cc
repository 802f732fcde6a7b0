// Counting, timing and ending; see request_recorder.h.
#include "orchestrator/load/request_recorder.h"

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "orchestrator/statistics/request_times.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

constexpr uint32_t kTokensBeyond = 16;  // counts of servers differ by some

const char* FinishName(FinishReason reason) {
  switch (reason) {
    case FINISH_REASON_STOP:
      return "stop";
    case FINISH_REASON_LENGTH:
      return "length";
    case FINISH_REASON_CANCELLED:
      return "cancelled";
    case FINISH_REASON_ERROR:
      return "error";
    default:
      return "";
  }
}

std::string StallError(absl::Duration timeout) {
  return absl::StrCat("DEADLINE_EXCEEDED: no token of any request for ",
                      absl::FormatDuration(timeout));
}

std::string Describe(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

void RecordLastDelta(const TokenDelta& delta, RequestRecord& record) {
  record.set_finish_reason(FinishName(delta.finish_reason()));
  if (delta.has_usage()) {
    if (delta.usage().prompt_tokens() > 0) {
      record.set_input_tokens(delta.usage().prompt_tokens());
    }
    record.set_cached_tokens(delta.usage().cached_tokens());
    record.set_preemptions(delta.usage().preemptions());
    record.set_server_output_tokens(delta.usage().output_tokens());
  }
  const EngineTimes& times = delta.times();
  if (times.scheduled_ns() > 0) {
    record.set_queue_ms((times.scheduled_ns() - times.arrived_ns()) / 1e6);
  }
  if (times.scheduled_ns() > 0 && times.first_token_ns() > 0) {
    record.set_prefill_ms((times.first_token_ns() - times.scheduled_ns()) / 1e6);
    record.set_decode_ms((times.last_token_ns() - times.first_token_ns()) / 1e6);
  }
}

}  // namespace

uint32_t RequestRecorder::Add(const PlannedRequest& planned, const Issue& issue) {
  Slot& slot = slots_.emplace_back();
  slot.entry = planned.entry;
  slot.check_answer = planned.check_answer;
  slot.has_next = planned.has_next;
  if (planned.has_next) slot.conversation.AddPrompt(planned.request);
  RequestRecord& record = records_.emplace_back();
  record.set_index(planned.index);
  record.set_session(planned.session);
  record.set_turn(planned.turn);
  record.set_concurrency(issue.concurrency);
  record.set_task_id(planned.entry->task_id);
  if (planned.request.has_token_ids()) {
    record.set_asked_input_tokens(planned.request.token_ids().ids_size());
    record.set_input_tokens(record.asked_input_tokens());
  }
  record.set_asked_output_tokens(planned.request.max_tokens());
  record.set_scheduled_ms(Milliseconds(issue.scheduled_ns));
  record.set_sent_ms(Milliseconds(issue.sent_ns));
  record.set_send_lag_ms((issue.sent_ns - issue.ready_ns) / 1e6);
  return size() - 1;
}

RequestRecorder::Verdict RequestRecorder::TakeDelta(uint32_t index, const TokenDelta& delta,
                                                    int64_t received_ns) {
  CHECK_LT(index, slots_.size());
  Slot& slot = slots_[index];
  RequestRecord& record = records_[index];
  if (delta.count() > 0) RecordTokens(delta, received_ns, slot, record);
  if (slot.check_answer) slot.text += delta.text();
  if (slot.has_next) slot.conversation.AddAnswer(delta);
  if (delta.finish_reason() != FINISH_REASON_NONE) RecordLastDelta(delta, record);
  const uint64_t asked = record.asked_output_tokens();
  const bool beyond = asked > 0 && record.output_tokens() > asked + kTokensBeyond;
  return beyond ? Verdict::kTooLong : Verdict::kGoOn;
}

void RequestRecorder::RecordTokens(const TokenDelta& delta, int64_t received_ns, Slot& slot,
                                   RequestRecord& record) {
  const double at_ms = Milliseconds(received_ns);
  if (record.deltas() == 0) {
    record.set_first_token_ms(at_ms);
    recent_.ttft.Add(TtftMs(record));
  } else {
    gaps_.push_back({(received_ns - slot.last_token_ns) / 1e6, delta.count()});
  }
  tokens_.Add(at_ms, delta.count());
  slot.last_token_ns = received_ns;
  record.set_last_token_ms(at_ms);
  record.set_deltas(record.deltas() + 1);
  record.set_output_tokens(record.output_tokens() + delta.count());
}

void RequestRecorder::GiveUp(uint32_t index, std::string why) {
  Slot& slot = slots_[index];
  if (std::exchange(slot.given_up, true)) return;
  slot.why = std::move(why);
}

void RequestRecorder::CancelOnPurpose(uint32_t index) {
  Slot& slot = slots_[index];
  slot.on_purpose = !std::exchange(slot.given_up, true);
}

RequestRecorder::Outcome RequestRecorder::End(uint32_t index, const absl::Status& status,
                                              Ending ending, absl::Duration stall,
                                              int64_t received_ns) {
  CHECK_LT(index, slots_.size());
  Slot& slot = slots_[index];
  CHECK(!slot.ended) << "request " << index << " ended twice";
  slot.ended = true;
  RequestRecord& record = records_[index];
  if (!status.ok() && slot.on_purpose) {
    record.set_cancelled(true);
    record.set_last_token_ms(Milliseconds(received_ns));
    return Outcome::kCompleted;
  }
  if (!status.ok() && ending == Ending::kInterrupted) {
    slot.interrupted = true;
    return Outcome::kNeither;
  }
  if (!status.ok()) {
    record.set_error(!slot.why.empty()            ? slot.why
                     : ending == Ending::kStalled ? StallError(stall)
                                                  : Printable(Describe(status)));
  } else if (record.output_tokens() == 0) {
    record.set_error("INTERNAL: the stream ended without a token");
  } else if (slot.check_answer) {
    record.set_correct(slot.text == slot.entry->answer);
  }
  slot.text = std::string();
  if (record.error().empty()) {
    if (record.deltas() > 1) recent_.tpot.Add(TpotMs(record).value_or(0));
    return Outcome::kCompleted;
  }
  record.set_last_token_ms(Milliseconds(received_ns));
  return Outcome::kFailed;
}

PointSamples RequestRecorder::Take(Ending ending, absl::Duration stall) {
  PointSamples samples;
  samples.requests.reserve(records_.size());
  for (uint32_t index = 0; index < size(); ++index) {
    const Slot& slot = slots_[index];
    if (slot.interrupted || (!slot.ended && ending == Ending::kInterrupted)) continue;
    if (!slot.ended) records_[index].set_error(StallError(stall));
    samples.requests.push_back(std::move(records_[index]));
  }
  for (const Gap& gap : gaps_) samples.AddGap(gap.ms, gap.tokens);
  samples.tokens = std::move(tokens_);
  return samples;
}

}  // namespace regatta
