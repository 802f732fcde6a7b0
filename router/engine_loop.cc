// The main path of the router: commands and results in, plans and deltas out; see engine_loop.h.
#include "router/engine_loop.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// An overflow may be flagged just after the loop has looked: it is seen this much later at most.
constexpr absl::Duration kLongestSleep = absl::Seconds(1);

}  // namespace

EngineLoop::EngineLoop(const EngineOptions& options, std::unique_ptr<WorkerGroup> group,
                       const Clock& clock, EngineOwner& owner)
    : options_(options),
      group_(std::move(group)),
      metrics_(options.metrics
                   ? options.metrics
                   : std::make_shared<GroupMetrics>(
                         GroupBounds(options.scheduler.limits.max_seq_len()), GroupFacts{})),
      clock_(clock),
      owner_(owner),
      inbox_(options.inbox_capacity),
      scheduler_(options.scheduler),
      timer_(absl::ToInt64Nanoseconds(options.step_timeout)),
      masks_(options.mask_threads, options.vocab_size,
             [this](StepMasks masks) { SendMasks(std::move(masks)); }) {
  group_->Start([this](absl::StatusOr<StepResult> result) { Tell(std::move(result)); });
  thread_ = std::thread([this] { Run(); });
}

EngineLoop::~EngineLoop() {
  Stop();
  thread_.join();
}

AddOutcome EngineLoop::Add(std::unique_ptr<Request>&& request) {
  Command command(std::move(request));
  if (inbox_.TryPush(std::move(command), options_.inbox_capacity / 2)) return AddOutcome::kTaken;
  request = std::move(std::get<std::unique_ptr<Request>>(command));
  return inbox_.closed() ? AddOutcome::kStopped : AddOutcome::kFull;
}

// For what must not be lost. After the loop has stopped it concerns nobody.
void EngineLoop::Tell(Command command) {
  if (!inbox_.TryPush(std::move(command))) overflowed_ = true;
}

void EngineLoop::Cancel(uint64_t id, absl::Status reason) {
  Tell(CancelCommand{id, std::move(reason)});
}

void EngineLoop::Stop() { Tell(StopCommand{}); }

SchedulerState EngineLoop::state() const {
  absl::MutexLock lock(&state_mutex_);
  return state_;
}

void EngineLoop::Run() {
  bool running = true;
  while (running) {
    running = Receive();
    if (running) DispatchPlans();  // Before publishing: the workers wait for it.
    Publish();
  }
  HandBack();
}

// Waits for something to do and takes in all of it. False when the loop must end.
bool EngineLoop::Receive() {
  absl::Duration timeout = kLongestSleep;
  if (timer_.in_flight() > 0) {
    timeout = absl::Nanoseconds(std::max<int64_t>(0, timer_.deadline_ns() - clock_.NowNs()));
  }
  for (auto command = inbox_.Pop(timeout); command; command = inbox_.TryPop()) {
    std::visit([this](auto& alternative) { Handle(std::move(alternative)); }, *command);
  }
  CheckOverflow();
  CheckOverdue();
  return cause_.ok() && !(stopping_ && timer_.in_flight() == 0);
}

void EngineLoop::Handle(std::unique_ptr<Request> request) {
  request->spec.id = request->id;
  CHECK_EQ(request->spec.constrained, request->constraint != nullptr);
  const absl::Status status = scheduler_.Add(std::move(request->spec));
  if (!status.ok()) {
    request->Fail(status);
    finished_.push_back(request->id);
    return;
  }
  const uint64_t id = request->id;
  if (request->constraint != nullptr) ledger_.Add(id, request->constraint);
  live_.emplace(id, std::move(request));
}

void EngineLoop::Handle(const CancelCommand& cancel) {
  const auto it = live_.find(cancel.id);
  if (it == live_.end()) return;  // Already ended.
  Request& request = *it->second;
  if (cancel.reason.ok()) {
    request.Push(request.output.End(FINISH_REASON_CANCELLED, clock_.NowNs()));
    request.stream->Flush();
  } else if (!request.output.started()) {
    request.Fail(cancel.reason);
  } else {
    return;
  }
  scheduler_.Cancel(cancel.id);
  Forget(it);
}

void EngineLoop::Handle(absl::StatusOr<StepResult> result) {
  if (!cause_.ok()) return;
  const size_t committed = events_.size();
  const int64_t start_ns = clock_.NowNs();
  cause_ = result.ok() ? scheduler_.Commit(*result, events_) : result.status();
  if (!cause_.ok()) return;
  if (!ledger_.idle()) AcceptTokens(result->step_id(), committed);
  NoteMasksSent();
  if (const int64_t wait_ns = timer_.mask_wait_ns(); wait_ns > 0) metrics_->WaitedForMasks(wait_ns);
  const int64_t now_ns = clock_.NowNs();
  metrics_->StepCommitted(timer_.Completed(now_ns), result->compute_ns(), now_ns - start_ns);
  event_times_ns_.resize(events_.size(), now_ns);
}

void EngineLoop::AcceptTokens(uint64_t step_id, size_t first) {
  for (size_t i = first; i < events_.size(); ++i) {
    SequenceEvent& event = events_[i];
    const absl::Status status = AcceptTokens(event);
    if (status.ok()) continue;
    event.finish = FINISH_REASON_ERROR;  // Its client hears of it after the tokens before.
    failures_.emplace(event.id, status);
    scheduler_.Cancel(event.id);
  }
  ledger_.Committed(step_id);
  ComputeDueMasks();
}

absl::Status EngineLoop::AcceptTokens(const SequenceEvent& event) {
  RETURN_IF_ERROR(ledger_.Check(event.id));
  if (event.finish != FINISH_REASON_NONE) {
    ledger_.Remove(event.id);
  } else if (!ledger_.Accept(event.id, event.tokens)) {
    RETURN_IF_ERROR(ledger_.Check(event.id));
    return absl::InternalError(absl::StrCat("token ", event.tokens.back(),
                                            " was drawn, which the constraint does not allow"));
  }
  return absl::OkStatus();
}

void EngineLoop::SendMasks(StepMasks masks) {
  {
    absl::MutexLock lock(&sent_mutex_);
    masks_sent_.push_back(
        {masks.input.step_id(), clock_.NowNs(), masks.computing_ns, std::move(masks.work)});
  }
  group_->SendMasks(std::move(masks.input));
}

void EngineLoop::NoteMasksSent() {
  absl::MutexLock lock(&sent_mutex_);
  for (const SentMasks& sent : masks_sent_) {
    timer_.MasksSent(sent.step_id, sent.time_ns);
    metrics_->ComputedMasks(sent.computing_ns);
    for (const MaskWork& mask : sent.work) scheduler_.NoteMaskWork(mask.id, mask.work);
  }
  masks_sent_.clear();
}

void EngineLoop::ComputeDueMasks() {
  while (auto due = ledger_.TakeDue()) masks_.Compute(*std::move(due));
}

// The group cannot go on without what did not fit; its sequences can, elsewhere.
void EngineLoop::CheckOverflow() {
  if (!cause_.ok() || !overflowed_) return;
  cause_ = absl::ResourceExhaustedError(
      absl::StrCat("the engine's inbox is full: ", options_.inbox_capacity, " commands wait"));
}

void EngineLoop::CheckOverdue() {
  NoteMasksSent();
  if (!cause_.ok() || timer_.in_flight() == 0 || clock_.NowNs() < timer_.deadline_ns()) return;
  cause_ = absl::DeadlineExceededError(
      absl::StrCat("step ", timer_.oldest_step(), " took over ",
                   absl::FormatDuration(absl::Nanoseconds(timer_.limit_ns())), "; ",
                   masks_.Computing(timer_.oldest_step()) ? "its masks are not computed yet; " : "",
                   group_->Laggard()));
}

void EngineLoop::DispatchPlans() {
  if (stopping_) return;
  int64_t start_ns = clock_.NowNs();
  while (std::optional<StepPlan> plan = scheduler_.NextStep()) {
    const int64_t now_ns = clock_.NowNs();
    for (const uint64_t id : scheduler_.started()) live_.at(id)->output.Scheduled(now_ns);
    const uint32_t tokens = std::accumulate(plan->count().begin(), plan->count().end(), 0u);
    timer_.Dispatched(plan->step_id(), tokens, now_ns);
    group_->Dispatch(*plan);
    const int64_t sent_ns = clock_.NowNs();
    metrics_->StepPlanned(plan->slot_size(), tokens, sent_ns - start_ns);
    start_ns = sent_ns;
    if (scheduler_.awaiting().empty()) continue;
    ledger_.Planned(plan->step_id(), scheduler_.awaiting());
    ComputeDueMasks();
  }
  CHECK(timer_.in_flight() > 0 || !scheduler_.HasWork()) << "live sequences, but nothing to run";
}

// Sends what was committed to its clients and tells the owner what ended.
void EngineLoop::Publish() {
  if (!events_.empty()) PublishEvents();
  const SchedulerState state = scheduler_.state();
  metrics_->SetState(state);
  {
    absl::MutexLock lock(&state_mutex_);
    state_ = state;
  }
  if (!finished_.empty()) owner_.OnFinished(options_.epoch, std::exchange(finished_, {}));
}

void EngineLoop::PublishEvents() {
  const int64_t start_ns = clock_.NowNs();
  std::vector<std::shared_ptr<DeltaStream>> streams;
  for (size_t i = 0; i < events_.size(); ++i) {
    const SequenceEvent& event = events_[i];
    const auto it = live_.find(event.id);
    if (it == live_.end()) continue;  // Ended by a stop string or its client since.
    Request& request = *it->second;
    const bool failed = event.finish == FINISH_REASON_ERROR;
    if (failed) {
      request.Fail(failures_.at(event.id));
    } else {
      Send(request, event, event_times_ns_[i]);
      if (streams.empty() || streams.back() != request.stream) streams.push_back(request.stream);
    }
    if (!failed && !request.output.finished()) continue;
    if (event.finish == FINISH_REASON_NONE) scheduler_.Cancel(event.id);
    Forget(it);
  }
  events_.clear();
  event_times_ns_.clear();
  failures_.clear();
  std::sort(streams.begin(), streams.end());
  streams.erase(std::unique(streams.begin(), streams.end()), streams.end());
  for (const auto& stream : streams) stream->Flush();
  metrics_->Published(clock_.NowNs() - start_ns);
}

// Sends one event's delta, counted before its client can know of it.
void EngineLoop::Send(Request& request, const SequenceEvent& event, int64_t time_ns) {
  const OutputProcessor& output = request.output;
  const int64_t last_ns = output.times().last_token_ns();
  TokenDelta delta = request.output.Process(event, time_ns);
  if (last_ns == 0) {
    metrics_->FirstTokens(event.tokens.size(), output.usage().prompt_tokens(),
                          time_ns - output.times().arrived_ns());
  } else {
    metrics_->LaterTokens(event.tokens.size(), time_ns - last_ns);
  }
  if (output.finished()) metrics_->Finished(output.times(), output.usage(), time_ns);
  request.Push(std::move(delta));
}

// The request has had its last delta.
void EngineLoop::Forget(LiveRequest request) {
  ledger_.Remove(request->first);
  finished_.push_back(request->first);
  live_.erase(request);
}

void EngineLoop::HandBack() {
  masks_.Stop();  // From here on the constraints are used by nobody.
  ledger_ = MaskLedger();
  group_->Stop();
  inbox_.Close();
  std::vector<std::unique_ptr<Request>> handed_back;
  for (SequenceSpec& spec : scheduler_.TakeAll()) {
    std::unique_ptr<Request> request = std::move(live_.at(spec.id));
    request->spec = std::move(spec);
    handed_back.push_back(std::move(request));
  }
  while (std::optional<Command> command = inbox_.TryPop()) {
    auto* added = std::get_if<std::unique_ptr<Request>>(&*command);
    if (added != nullptr) handed_back.push_back(std::move(*added));
  }
  live_.clear();
  owner_.OnStopped(options_.epoch, cause_, std::move(handed_back));
}

}  // namespace regatta
