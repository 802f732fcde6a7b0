// Claiming, sending, waiting and giving up; see client_thread.h.
#include "orchestrator/load/client_thread.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

using Outcome = RequestRecorder::Outcome;

constexpr int kIssuesPerPoll = 16;
constexpr int64_t kTickNs = 100'000'000;           // longest wait for events
constexpr int64_t kRampTickNs = 5'000'000;         // while places are added
constexpr int64_t kCheckEveryNs = 200'000'000;     // for requests that have stopped
constexpr int64_t kCancelGraceNs = 5'000'000'000;  // for cancelled requests to say so
// Targets wait in whole milliseconds: the rest before a request is due passes in short sleeps.
constexpr int64_t kCoarseWaitNs = 1'100'000;
constexpr int64_t kFineWaitNs = 20'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

int64_t Nanoseconds(absl::Duration duration) {
  // InfiniteDuration converts to the largest integer: adding must not overflow.
  return std::min(absl::ToInt64Nanoseconds(duration), int64_t{1} << 60);
}

double ThreadCpuSeconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

// Stores without read-modify-write: one thread alone writes.
template <typename T>
void Add(std::atomic<T>& counter, T by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

void RaiseTo(std::atomic<uint32_t>& peak, uint32_t value) {
  uint32_t known = peak.load(std::memory_order_relaxed);
  while (known < value && !peak.compare_exchange_weak(known, value)) {
  }
}

}  // namespace

uint32_t ShareOf(uint32_t total, uint32_t number, uint32_t threads) {
  return total / threads + (number < total % threads);
}

ClientThread::ClientThread(SharedLoad& load, uint32_t number, Target& target, uint64_t first_tag)
    : load_(load),
      target_(target),
      first_tag_(first_tag),
      number_(number),
      recorder_(load.start_ns),
      places_(load.options.concurrency == 0, load.start_ns) {}

void ClientThread::Run() {
  ::prctl(PR_SET_TIMERSLACK, 1000);  // ns; the default of 50 us would be late each time
  const RealClock clock;
  const double cpu_before_s = ThreadCpuSeconds();
  const int64_t issue_until_ns = load_.start_ns + Nanoseconds(load_.options.max_time);
  last_poll_ns_ = clock.NowNs();
  int64_t next_check_ns = last_poll_ns_ + kCheckEveryNs;
  for (int64_t now = last_poll_ns_;; now = clock.NowNs()) {
    if (now >= issue_until_ns) StopIssuing();
    ObeyEnding(now);
    GrowPlaces(now);
    const bool more = IssueDue(now);
    CancelDue(now);
    if (Finished(now)) break;
    Wait(more);
    if (now < next_check_ns) continue;
    GiveUpStalled(now);
    next_check_ns = now + kCheckEveryNs;
  }
  const double wall_s = (clock.NowNs() - load_.start_ns) / 1e9;
  busy_ = wall_s > 0 ? (ThreadCpuSeconds() - cpu_before_s) / wall_s : 0;
}

bool ClientThread::Finished(int64_t now_ns) const {
  if (cancelled_ns_ != 0 && now_ns - cancelled_ns_ > kCancelGraceNs) return true;
  return in_flight_ == 0 && next_turns_.empty() && !claim_ && (!issuing_ || exhausted_);
}

void ClientThread::StopIssuing() {
  issuing_ = false;
  dropped_ |= claim_.has_value() || !next_turns_.empty();
  claim_.reset();
  next_turns_ = DueQueue();
}

// While the concurrency ramps up, all threads together have as many places as it stands at.
void ClientThread::GrowPlaces(int64_t now_ns) {
  const uint32_t full = load_.options.concurrency;
  const int64_t ramp_ns = Nanoseconds(load_.options.concurrency_ramp);
  uint32_t reached = full;
  if (now_ns - load_.start_ns < ramp_ns) {
    const double done = static_cast<double>(now_ns - load_.start_ns) / ramp_ns;
    reached = std::min(full, 1 + static_cast<uint32_t>(done * (full - std::min(full, 1u))));
  }
  // Without a ramp the places are there from the start, so that a thread's own start counts as lag.
  places_.Grow(ShareOf(reached, number_, load_.threads), ramp_ns > 0 ? now_ns : load_.start_ns);
}

void ClientThread::ClaimNext() {
  const uint32_t session = load_.next_session.fetch_add(1, std::memory_order_relaxed);
  exhausted_ = session >= load_.batch.size();
  if (exhausted_) return;
  const std::vector<int64_t>& due = load_.options.due_ns;
  Claim& claim = claim_.emplace();
  claim.ready_ns = places_.Take();
  claim.scheduled_ns = due.empty() ? claim.ready_ns : load_.start_ns + due[session];
  claim.ready_ns = std::max(claim.ready_ns, claim.scheduled_ns);
  claim.planned = load_.batch.At(session);  // made ahead, so that it leaves on time
}

void ClientThread::IssueTurn() {
  const Due due = next_turns_.top();
  next_turns_.pop();
  const RequestRecord& before = recorder_.record(due.slot);
  PlannedRequest planned =
      load_.batch.Next(before.session(), before.turn() + 1, recorder_.TakeConversation(due.slot));
  Issue({std::move(planned), due.time_ns, due.time_ns});
}

bool ClientThread::IssueDue(int64_t now_ns) {
  for (int i = 0; i < kIssuesPerPoll; ++i) {
    if (!issuing_) return false;
    if (!next_turns_.empty() && next_turns_.top().time_ns <= now_ns) {
      IssueTurn();
      continue;
    }
    if (!claim_ && !exhausted_ && places_.any_free()) ClaimNext();
    if (!claim_ || claim_->scheduled_ns > now_ns) return false;
    Issue(*std::exchange(claim_, std::nullopt));
  }
  return true;
}

void ClientThread::Issue(const Claim& claim) {
  RequestRecorder::Issue issue{load_.options.concurrency, claim.scheduled_ns, claim.ready_ns,
                               RealClock().NowNs()};
  const uint32_t slot = recorder_.Add(claim.planned, issue);
  ++in_flight_;
  RaiseTo(load_.peak_in_flight, load_.in_flight.fetch_add(1, std::memory_order_relaxed) + 1);
  Add(counters_.issued, 1u);
  counters_.last_event_ns.store(issue.sent_ns, std::memory_order_relaxed);
  ScheduleCancellation(slot, claim.planned.index, issue.sent_ns);
  target_.Start(first_tag_ + slot, claim.planned.request);
}

void ClientThread::OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) {
  if (tag < first_tag_) return;
  const uint32_t slot = static_cast<uint32_t>(tag - first_tag_);
  counters_.last_event_ns.store(received_ns, std::memory_order_relaxed);
  Add(counters_.output_tokens, uint64_t{delta.count()});
  if (recorder_.TakeDelta(slot, delta, received_ns) != RequestRecorder::Verdict::kTooLong) return;
  GiveUp(slot,
         absl::StrCat("OUT_OF_RANGE: the server goes on behind the ",
                      recorder_.record(slot).asked_output_tokens(), " tokens that were asked for"));
}

void ClientThread::OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) {
  if (tag < first_tag_) return;
  const uint32_t slot = static_cast<uint32_t>(tag - first_tag_);
  counters_.last_event_ns.store(received_ns, std::memory_order_relaxed);
  const Outcome outcome =
      recorder_.End(slot, status, load_.ending.load(), load_.options.stall_timeout, received_ns);
  --in_flight_;
  load_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (outcome == Outcome::kCompleted) Add(counters_.completed, 1u);
  if (outcome == Outcome::kFailed) Add(counters_.failed, 1u);
  const RequestRecord& record = recorder_.record(slot);
  const bool answered = outcome == Outcome::kCompleted && !record.cancelled();
  const bool another = answered && load_.batch.HasTurn(record.session(), record.turn() + 1);
  if (!another) return places_.Release(received_ns);
  dropped_ |= !issuing_;
  if (!issuing_) return;
  const int64_t delay_ns = load_.batch.DelayNs(record.session(), record.turn() + 1);
  next_turns_.push({received_ns + delay_ns, slot});  // The session keeps its place.
}

void ClientThread::ScheduleCancellation(uint32_t slot, uint32_t index, int64_t sent_ns) {
  const LoadOptions& options = load_.options;
  if (options.cancellation_rate <= 0) return;
  if (DrawUnit(options.seed, RandomStream::kCancellation, index, 0) >= options.cancellation_rate) {
    return;
  }
  cancellations_.push({sent_ns + Nanoseconds(options.cancellation_delay), slot});
}

void ClientThread::CancelDue(int64_t now_ns) {
  while (!cancellations_.empty() && cancellations_.top().time_ns <= now_ns) {
    const uint32_t slot = cancellations_.top().slot;
    cancellations_.pop();
    if (recorder_.ended(slot) || recorder_.given_up(slot)) continue;
    recorder_.CancelOnPurpose(slot);
    target_.Cancel(first_tag_ + slot);
  }
}

void ClientThread::ObeyEnding(int64_t now_ns) {
  if (cancelled_ns_ != 0 ||
      load_.ending.load(std::memory_order_relaxed) == RequestRecorder::Ending::kNone)
    return;
  cancelled_ns_ = now_ns;
  StopIssuing();
  for (uint32_t slot = 0; slot < recorder_.size(); ++slot) {
    if (!recorder_.ended(slot)) target_.Cancel(first_tag_ + slot);
  }
}

void ClientThread::GiveUp(uint32_t slot, std::string why) {
  if (recorder_.given_up(slot)) return;
  recorder_.GiveUp(slot, std::move(why));
  target_.Cancel(first_tag_ + slot);
}

void ClientThread::GiveUpStalled(int64_t now_ns) {
  const int64_t limit_ns = Nanoseconds(load_.options.stall_timeout);
  while (first_open_ < recorder_.size() && recorder_.ended(first_open_)) ++first_open_;
  for (uint32_t slot = first_open_; slot < recorder_.size(); ++slot) {
    const int64_t last_ns = recorder_.last_token_ns(slot);
    if (recorder_.ended(slot) || last_ns == 0) continue;  // The first token may wait in a queue.
    if (now_ns - last_ns <= limit_ns) continue;
    GiveUp(slot, absl::StrCat("DEADLINE_EXCEEDED: no further token for ",
                              absl::FormatDuration(load_.options.stall_timeout)));
  }
}

int64_t ClientThread::NextDueNs() const {
  int64_t due_ns = kNever;
  if (claim_) due_ns = claim_->scheduled_ns;
  if (!next_turns_.empty()) due_ns = std::min(due_ns, next_turns_.top().time_ns);
  if (!cancellations_.empty()) due_ns = std::min(due_ns, cancellations_.top().time_ns);
  return due_ns;
}

// Until something came, something is due or a tick has passed; `at_once`: only what is there.
void ClientThread::Wait(bool at_once) {
  const RealClock clock;
  const int64_t before_ns = clock.NowNs();
  const bool ramping = before_ns - load_.start_ns < Nanoseconds(load_.options.concurrency_ramp);
  const int64_t tick_ns = at_once ? 0 : ramping ? kRampTickNs : kTickNs;
  const int64_t wake_ns = std::min(before_ns + tick_ns, NextDueNs());
  const int64_t deadline_ns = std::max(before_ns, wake_ns - kCoarseWaitNs);
  const int64_t event_before_ns = counters_.last_event_ns.load(std::memory_order_relaxed);
  longest_stall_ns_ = std::max(longest_stall_ns_, before_ns - last_poll_ns_);
  target_.Poll(deadline_ns, *this);
  last_poll_ns_ = clock.NowNs();
  longest_stall_ns_ = std::max(longest_stall_ns_, last_poll_ns_ - deadline_ns);
  const bool idle = event_before_ns == counters_.last_event_ns.load(std::memory_order_relaxed);
  if (!idle || deadline_ns > before_ns || wake_ns <= last_poll_ns_) return;
  std::this_thread::sleep_for(
      std::chrono::nanoseconds(std::min(kFineWaitNs, wake_ns - last_poll_ns_)));
}

}  // namespace regatta
