// Requests on their way through the cluster: admission, placement, deadlines, cancellation,
// draining; see coordinator.h.
#include "router/cluster/coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);  // deadlines other than the queue's
// Never full: submissions in transit are bounded, and everything else is bounded by live requests
// and plans in flight.
constexpr size_t kInboxCapacity = 1 << 22;

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, const ModelSpec& spec,
                         const Tokenizer* tokenizer, Pool& pool)
    : options_(std::move(options)),
      spec_(spec),
      tokenizer_(tokenizer),
      pool_(pool),
      metrics_(spec.max_position),
      admission_(absl::UnavailableError("the cluster has not started")),
      inbox_(kInboxCapacity),
      former_(pool, spec, options_.former),
      placement_({.max_queue_size = options_.max_queue_size,
                  .block_size = options_.former.limits.block_size}),
      layout_(options_.layout),
      asked_limits_(options_.limits) {
  thread_ = std::thread([this] { Run(); });
}

Coordinator::~Coordinator() {
  Post([this] {
    stopping_ = true;
    SetAdmission(absl::UnavailableError("the router is stopping"));
    for (auto& [epoch, group] : groups_) group.engine->Stop();
  });
  thread_.join();
}

void Coordinator::Post(absl::AnyInvocable<void()> task) { CHECK(inbox_.TryPush(std::move(task))); }

void Coordinator::Run() {
  while (!(stopping_ && groups_.empty() && !job_running_ && compilations_ == 0)) {
    absl::Duration timeout = kTick;
    if (const std::optional<int64_t> deadline = placement_.NextDeadline()) {
      timeout =
          std::clamp(absl::Nanoseconds(*deadline - clock_.NowNs()), absl::ZeroDuration(), kTick);
    }
    for (auto task = inbox_.Pop(timeout); task; task = inbox_.TryPop()) (*task)();
    Tick();
  }
  for (const auto& request : placement_.TakeWaiting()) {
    request->Fail(absl::UnavailableError("the router is stopping"));
  }
  CheckDrains(clock_.NowNs());
  GiveWorkersBack();
}

void Coordinator::Tick() {
  const int64_t now_ns = clock_.NowNs();
  ExpireWaiting(now_ns);
  CheckDrains(now_ns);
  ContinueRepartition();
  Restore(now_ns);
  PlaceWaiting();
  metrics_.SetUnplaced(placement_.num_waiting() + compiling_.size());
}

absl::StatusOr<uint64_t> Coordinator::Submit(const GenerateRequest& request, uint64_t tag,
                                             std::shared_ptr<DeltaStream> stream) {
  absl::StatusOr<std::unique_ptr<Request>> accepted = Accept(request);
  if (!accepted.ok()) {
    metrics_.Refused(accepted.status().code());
    return accepted.status();
  }
  const uint64_t id = next_id_++;
  (*accepted)->id = id;
  (*accepted)->tag = tag;
  (*accepted)->stream = std::move(stream);
  (*accepted)->ends = &metrics_.ends();
  ++in_transit_;
  Post([this, accepted = *std::move(accepted)]() mutable { Take(std::move(accepted)); });
  return id;
}

absl::StatusOr<std::unique_ptr<Request>> Coordinator::Accept(const GenerateRequest& request) {
  RequestLimits limits{.model = spec_, .tokenizer = tokenizer_};
  {
    absl::MutexLock lock(&admission_mutex_);
    RETURN_IF_ERROR(admission_);
    limits.max_seq_len = max_seq_len_;
    limits.max_num_tokens = max_num_tokens_;
  }
  limits.chunked_prefill = options_.former.limits.chunked_prefill;
  limits.prefix_cache = options_.prefix_cache;
  limits.queue_timeout_ms = options_.queue_timeout_ms;
  limits.ignore_priority = options_.ignore_priority;
  if (in_transit_ >= options_.max_queue_size) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue is full (max_queue_size ", options_.max_queue_size, ")"));
  }
  ASSIGN_OR_RETURN(auto accepted, MakeRequest(request, limits, clock_.NowNs()));
  if (accepted->spec.constrained && options_.constraints == nullptr) {
    return absl::InvalidArgumentError("constraint: constraints are not served");
  }
  return accepted;
}

void Coordinator::Take(std::unique_ptr<Request> request) {
  --in_transit_;
  if (request->spec.constrained) return Compile(std::move(request));
  Enqueue(std::move(request));
}

void Coordinator::Enqueue(std::unique_ptr<Request> request) {
  absl::Status status;
  {
    absl::MutexLock lock(&admission_mutex_);
    status = admission_;  // It may have changed since.
  }
  if (status.ok()) status = placement_.Enqueue(std::move(request));
  if (!status.ok()) Refuse(*request, status);  // NOLINT(bugprone-use-after-move): not taken.
}

void Coordinator::Refuse(Request& request, const absl::Status& status) {
  metrics_.Refused(status.code());
  request.ends = nullptr;
  request.Fail(status);
}

void Coordinator::Cancel(uint64_t id) {
  Post([this, id] { CancelNow(id); });
}

void Coordinator::CancelNow(uint64_t id) {
  if (const auto compiling = compiling_.Take(id)) return EndCancelled(*compiling);
  Placement::Cancelled cancelled = placement_.Cancel(id);
  if (cancelled.request) EndCancelled(*cancelled.request);
  if (!cancelled.group) return;
  // A group that has just stopped hands the request back; TakeBack ends it then.
  const auto group = groups_.find(*cancelled.group);
  if (group != groups_.end()) group->second.engine->Cancel(id, absl::OkStatus());
}

void Coordinator::EndCancelled(Request& request) {
  request.Push(request.output.End(FINISH_REASON_CANCELLED, clock_.NowNs()));
  request.stream->Flush();
  ++finished_;
}

void Coordinator::OnFinished(uint64_t epoch, std::vector<uint64_t> ids) {
  Post([this, ids = std::move(ids)] {
    for (const uint64_t id : ids) placement_.Finished(id);
    finished_ += ids.size();
  });
}

void Coordinator::OnStopped(uint64_t epoch, absl::Status cause,
                            std::vector<std::unique_ptr<Request>> live) {
  Post([this, epoch, cause = std::move(cause), live = std::move(live)]() mutable {
    GroupStopped(epoch, cause, std::move(live));
  });
}

// A request whose group has stopped: it waits for another one, unless its client has gone or it has
// lost too many.
void Coordinator::TakeBack(std::unique_ptr<Request> request, const absl::Status& cause) {
  const uint64_t id = request->id;
  if (placement_.WasCancelled(id)) {
    EndCancelled(*request);
    placement_.Finished(id);
    return;
  }
  if (!cause.ok() && request->output.started() && ++request->moves > options_.max_moves) {
    request->Fail(absl::UnavailableError(
        absl::StrCat("lost ", request->moves, " groups; the last one: ", cause.message())));
    placement_.Finished(id);
    return;
  }
  request->output.Moved();
  placement_.Return(std::move(request));
}

void Coordinator::PlaceWaiting() {
  placement_.Resume();
  while (std::optional<Placement::Assignment> next = placement_.Next()) {
    const AddOutcome outcome = groups_.at(next->group).engine->Add(std::move(next->request));
    if (outcome == AddOutcome::kTaken) continue;
    placement_.Return(std::move(next->request));
    if (outcome == AddOutcome::kFull) {
      placement_.Pause(next->group);  // The next tick tries again.
    } else {
      placement_.RemoveGroup(next->group);  // Its OnStopped is on its way.
    }
  }
}

void Coordinator::ExpireWaiting(int64_t now_ns) {
  const absl::Status late =
      absl::DeadlineExceededError("not started within its queue timeout (queue_timeout_ms)");
  for (const auto& request : compiling_.TakeExpired(now_ns)) request->Fail(late);
  Placement::Expired expired = placement_.TakeExpired(now_ns);
  for (const auto& request : expired.waiting) request->Fail(late);
  for (const auto& [epoch, id] : expired.placed) {
    const auto group = groups_.find(epoch);
    if (group != groups_.end()) group->second.engine->Cancel(id, late);
  }
  const bool forming = !started_ || repartition_.has_value() || job_running_;
  if (!groups_.empty() || forming || placement_.num_waiting() == 0) return;
  if (now_ns - no_group_since_ns_ < absl::ToInt64Nanoseconds(options_.unavailable_timeout)) return;
  const absl::Status gone =
      absl::UnavailableError(absl::StrCat("no group can serve: ", last_fault_.message()));
  for (const auto& request : placement_.TakeWaiting()) request->Fail(gone);
  if (!draining_) SetAdmission(gone);
}

void Coordinator::SetAdmission(absl::Status status) {
  absl::MutexLock lock(&admission_mutex_);
  admission_ = std::move(status);
}

void Coordinator::Drain(absl::Duration deadline, std::function<void(DrainResponse)> reply) {
  Post([this, deadline, reply = std::move(reply)]() mutable {
    draining_ = true;
    SetAdmission(absl::UnavailableError("the router is draining"));
    UpdateServing();
    drains_.push_back({.deadline_ns = clock_.NowNs() + absl::ToInt64Nanoseconds(deadline),
                       .reply = std::move(reply),
                       .finished_before = finished_});
  });
}

void Coordinator::CheckDrains(int64_t now_ns) {
  for (DrainJob& drain : drains_) {
    if (drain.expired || now_ns < drain.deadline_ns) continue;
    drain.expired = true;
    drain.cancelled = placement_.num_live() + compiling_.size();
    for (const uint64_t id : compiling_.Ids()) CancelNow(id);
    for (const uint64_t id : placement_.LiveIds()) CancelNow(id);
  }
  if (placement_.num_live() + compiling_.size() > 0) return;
  for (DrainJob& drain : std::exchange(drains_, {})) {
    const uint64_t ended = finished_ - drain.finished_before;
    DrainResponse response;
    response.set_cancelled(drain.cancelled);
    response.set_completed(ended > drain.cancelled ? ended - drain.cancelled : 0);
    drain.reply(response);
  }
}

void Coordinator::Describe(std::function<void(ClusterDescription)> reply) {
  Post([this, reply = std::move(reply)] { reply(DescribeNow()); });
}

void Coordinator::State(std::function<void(ClusterState)> reply) {
  Post([this, reply = std::move(reply)] { reply(StateNow()); });
}

}  // namespace regatta
