// The closed loop; see load_generator.h.
#include "orchestrator/load/load_generator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/clock.h"

namespace regatta {
namespace {

constexpr int64_t kTickNs = 100'000'000;  // longest wait for events
constexpr int64_t kProgressEveryNs = 200'000'000;
constexpr uint32_t kTokensBeyond = 16;  // counts of servers differ by some
constexpr int64_t kRateWindowNs = 2'000'000'000;
constexpr int64_t kCancelGraceNs = 5'000'000'000;  // for cancelled requests to say so

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

int64_t DeadlineNs(int64_t start_ns, absl::Duration limit) {
  // InfiniteDuration converts to the largest integer: adding must not overflow.
  return start_ns + std::min(absl::ToInt64Nanoseconds(limit), int64_t{1} << 60);
}

}  // namespace

LoadResult LoadGenerator::Run(const Batch& batch, const LoadOptions& options,
                              const std::atomic<bool>& stop, const OnProgress& progress) {
  Reset(batch, options);
  const int64_t issue_until_ns = DeadlineNs(start_ns_, options_.max_time);
  const RealClock clock;
  for (int64_t now = start_ns_; !Finished(batch.size(), now); now = clock.NowNs()) {
    if (now >= issue_until_ns) issuing_ = false;
    CancelIfAsked(stop.load(std::memory_order_relaxed), now);
    IssueWhileFree(batch);
    target_.Poll(now + kTickNs, *this);
    if (now - marks_.back().time_ns < kProgressEveryNs) continue;
    GiveUpStalled(now);
    ReportProgress(now, progress);
  }
  SettleUnended();
  result_.cut_short = progress_.issued < batch.size() || result_.interrupted;
  ReportProgress(clock.NowNs(), progress);
  return std::move(result_);
}

void LoadGenerator::Reset(const Batch& batch, const LoadOptions& options) {
  CHECK_GT(options.concurrency, 0u);
  first_tag_ += active_.size();
  options_ = options;
  result_ = LoadResult();
  result_.samples.requests.reserve(batch.size());
  progress_ = LoadProgress();
  progress_.total = batch.size();
  active_.assign(batch.size(), Active());
  issuing_ = true;
  cancelled_ns_ = 0;
  start_ns_ = last_event_ns_ = RealClock().NowNs();
  marks_ = {{start_ns_, 0}};
}

bool LoadGenerator::Finished(uint32_t batch_size, int64_t now_ns) const {
  if (cancelled_ns_ != 0 && now_ns - cancelled_ns_ > kCancelGraceNs) return true;
  return progress_.in_flight == 0 && (!issuing_ || progress_.issued == batch_size);
}

void LoadGenerator::IssueWhileFree(const Batch& batch) {
  while (issuing_ && progress_.issued < batch.size() &&
         progress_.in_flight < options_.concurrency) {
    Issue(batch);
  }
}

void LoadGenerator::Issue(const Batch& batch) {
  const uint32_t index = progress_.issued++;
  const PlannedRequest planned = batch.At(index);
  active_[index].entry = planned.entry;
  active_[index].check_answer = planned.check_answer;
  RequestRecord& record = result_.samples.requests.emplace_back();
  record.set_index(index);
  record.set_concurrency(options_.concurrency);
  record.set_task_id(planned.entry->task_id);
  record.set_input_tokens(planned.request.token_ids().ids_size());
  record.set_asked_output_tokens(planned.entry->output_tokens);
  const int64_t now_ns = RealClock().NowNs();
  record.set_scheduled_ms(Milliseconds(now_ns));  // closed loop: due when a place is free
  record.set_sent_ms(Milliseconds(now_ns));
  ++progress_.in_flight;
  result_.peak_in_flight = std::max(result_.peak_in_flight, progress_.in_flight);
  target_.Start(first_tag_ + index, planned.request);
}

void LoadGenerator::OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) {
  if (tag < first_tag_) return;
  const uint64_t index = tag - first_tag_;
  CHECK_LT(index, result_.samples.requests.size());
  last_event_ns_ = received_ns;
  RequestRecord& record = result_.samples.requests[index];
  Active& active = active_[index];
  if (delta.count() > 0) {
    const double at_ms = Milliseconds(received_ns);
    if (record.deltas() == 0) {
      record.set_first_token_ms(at_ms);
      result_.samples.AddFirstMessage(at_ms, delta.count());
    } else {
      const double gap_ms = (received_ns - active.last_delta_ns) / 1e6;
      result_.samples.AddMessage(at_ms, gap_ms, delta.count());
    }
    active.last_delta_ns = received_ns;
    record.set_last_token_ms(at_ms);
    record.set_deltas(record.deltas() + 1);
    record.set_output_tokens(record.output_tokens() + delta.count());
    progress_.output_tokens += delta.count();
    const uint32_t asked = record.asked_output_tokens();
    if (asked > 0 && record.output_tokens() > uint64_t{asked} + kTokensBeyond) {
      GiveUp(index, absl::StrCat("OUT_OF_RANGE: the server goes on behind the ", asked,
                                 " tokens that were asked for"));
    }
  }
  if (active.check_answer) active.text += delta.text();
  if (delta.finish_reason() != FINISH_REASON_NONE) RecordLastDelta(delta, record);
}

void LoadGenerator::RecordLastDelta(const TokenDelta& delta, RequestRecord& record) const {
  record.set_finish_reason(FinishName(delta.finish_reason()));
  if (delta.has_usage()) {
    record.set_input_tokens(delta.usage().prompt_tokens());
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

void LoadGenerator::OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) {
  if (tag < first_tag_) return;
  const uint64_t index = tag - first_tag_;
  CHECK_LT(index, result_.samples.requests.size());
  last_event_ns_ = received_ns;
  Active& active = active_[index];
  CHECK(!active.ended) << "request " << tag << " ended twice";
  active.ended = true;
  --progress_.in_flight;
  RequestRecord& record = result_.samples.requests[index];
  if (!status.ok() && result_.interrupted) {
    active.interrupted = true;
  } else if (!status.ok()) {
    record.set_error(!active.given_up.empty() ? active.given_up
                     : cancelled_ns_ != 0     ? StallError(options_.stall_timeout)
                                              : Describe(status));
  } else if (record.output_tokens() == 0) {
    record.set_error("INTERNAL: the stream ended without a token");
  } else if (active.check_answer) {
    record.set_correct(active.text == active.entry->answer);
  }
  if (!record.error().empty()) record.set_last_token_ms(Milliseconds(received_ns));
  ++(record.error().empty() ? progress_.completed : progress_.failed);
  active.text = std::string();
}

void LoadGenerator::CancelIfAsked(bool stop, int64_t now_ns) {
  if (stop && !result_.interrupted) {
    result_.interrupted = true;
    CancelAll(now_ns);
  }
  const bool stalled = now_ns - last_event_ns_ > absl::ToInt64Nanoseconds(options_.stall_timeout);
  if (stalled && cancelled_ns_ == 0) CancelAll(now_ns);
}

void LoadGenerator::GiveUp(uint64_t index, std::string why) {
  if (!active_[index].given_up.empty()) return;
  active_[index].given_up = std::move(why);
  target_.Cancel(first_tag_ + index);
}

void LoadGenerator::GiveUpStalled(int64_t now_ns) {
  const int64_t limit_ns = absl::ToInt64Nanoseconds(options_.stall_timeout);
  for (uint32_t index = 0; index < progress_.issued; ++index) {
    const Active& active = active_[index];
    if (active.ended || active.last_delta_ns == 0)
      continue;  // The first token may wait in a queue.
    if (now_ns - active.last_delta_ns <= limit_ns) continue;
    GiveUp(index, absl::StrCat("DEADLINE_EXCEEDED: no further token for ",
                               absl::FormatDuration(options_.stall_timeout)));
  }
}

void LoadGenerator::CancelAll(int64_t now_ns) {
  cancelled_ns_ = now_ns;
  issuing_ = false;
  for (uint32_t index = 0; index < progress_.issued; ++index) {
    if (!active_[index].ended) target_.Cancel(first_tag_ + index);
  }
}

// Requests that did not even answer their cancellation failed; interrupted ones leave no record.
void LoadGenerator::SettleUnended() {
  std::vector<RequestRecord> kept;
  kept.reserve(result_.samples.requests.size());
  for (RequestRecord& record : result_.samples.requests) {
    Active& active = active_[record.index()];
    if (active.interrupted || (!active.ended && result_.interrupted)) continue;
    if (!active.ended) {
      record.set_error(StallError(options_.stall_timeout));
      ++progress_.failed;
    }
    kept.push_back(std::move(record));
  }
  result_.samples.requests = std::move(kept);
}

void LoadGenerator::ReportProgress(int64_t now_ns, const OnProgress& progress) {
  marks_.push_back({now_ns, progress_.output_tokens});
  while (marks_.size() > 2 && now_ns - marks_.front().time_ns > kRateWindowNs) {
    marks_.erase(marks_.begin());
  }
  const double window_s = (now_ns - marks_.front().time_ns) / 1e9;
  progress_.elapsed_s = (now_ns - start_ns_) / 1e9;
  progress_.tokens_per_s =
      window_s > 0 ? (progress_.output_tokens - marks_.front().tokens) / window_s : 0;
  if (progress) progress(progress_);
}

}  // namespace regatta
