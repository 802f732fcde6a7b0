// Transitions idle -> forming -> formed -> running -> idle or faulted; see rank_lifecycle.h.
#include "worker/rank_lifecycle.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "worker/cleanup_deadline.h"

namespace regatta {

const char* RankLifecycle::NameOf(State state) {
  switch (state) {
    case State::kIdle:
      return "idle";
    case State::kForming:
      return "forming";
    case State::kFormed:
      return "formed";
    case State::kRunning:
      return "running";
    case State::kEnding:
      return "ending";
    case State::kFaulted:
      return "faulted";
  }
  return "";
}

void RankLifecycle::Describe(WorkerDescription& description) const {
  absl::MutexLock lock(&mutex_);
  description.set_group_epoch(newest_epoch_);
  description.set_state(NameOf(state_));
  if (state_ == State::kFormed || state_ == State::kRunning) {
    *description.mutable_resident() = request_;
  }
}

absl::Status RankLifecycle::SeeEpoch(uint64_t epoch) {
  if (epoch == 0) return absl::InvalidArgumentError("group_epoch 0; epochs start at 1");
  if (epoch < newest_epoch_) {
    return absl::FailedPreconditionError(
        absl::StrCat("group_epoch ", epoch, " is older than ", newest_epoch_, ", seen before"));
  }
  newest_epoch_ = epoch;
  return absl::OkStatus();
}

absl::Status RankLifecycle::CheckOwner(const std::string& router) const {
  if (!owner_.KeepsFrom(router)) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("serves another router (epoch ", newest_epoch_, ", ", owner_.router(), ")"));
}

absl::Status RankLifecycle::CheckFree(const char* call) const {
  if (state_ == State::kIdle || state_ == State::kFaulted) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(call, ": rank ", request_.rank(), " of epoch ",
                                                    request_.group_epoch(), " is ", NameOf(state_),
                                                    "; Dissolve it first"));
}

absl::StatusOr<std::string> RankLifecycle::Prepare(const PrepareRequest& request,
                                                   const RouterCall& call) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckOwner(call.router));
  RETURN_IF_ERROR(SeeEpoch(request.group_epoch()));
  RETURN_IF_ERROR(CheckFree("Prepare"));
  if (request.world_size() < 1 || request.world_size() > kMaxRanks) {
    return absl::InvalidArgumentError(
        absl::StrCat("world_size: ", request.world_size(), " ranks; expected 1 to ", kMaxRanks));
  }
  offer_.reset();
  if (request.world_size() > 1) {  // nobody comes to a rank that is alone: it would listen for ever
    ASSIGN_OR_RETURN(offer_, device_.Offer(static_cast<int>(request.world_size())));
  }
  owner_.HoldFor(call.router, owner_grace_);
  return offer_ == nullptr ? "" : offer_->id();
}

absl::StatusOr<Formed> RankLifecycle::Form(
    const FormRequest& request, const RouterCall& call,
    const std::function<void(const FormProgress&)>& progress) {
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(CheckOwner(call.router));
    RETURN_IF_ERROR(SeeEpoch(request.group_epoch()));
    RETURN_IF_ERROR(CheckFree("Form"));
    if (request.group_epoch() == spent_epoch_) {
      return absl::FailedPreconditionError(
          absl::StrCat("Form: epoch ", request.group_epoch(),
                       " has had its rank or was dissolved; use a newer epoch"));
    }
    spent_epoch_ = request.group_epoch();
    request_ = request;
    state_ = State::kForming;
    stop_ = false;
    owner_.HoldWhile(call.router, call.lives);
  }
  auto executor = Executor::Form(request, device_, stop_, progress);
  absl::MutexLock lock(&mutex_);
  offer_.reset();
  state_ = State::kIdle;
  owner_.ReleaseBy(call.router);
  RETURN_IF_ERROR(executor.status());
  if (stop_) return absl::CancelledError("dissolved while forming");
  executor_ = *std::move(executor);
  state_ = State::kFormed;
  owner_.HoldFor(call.router, owner_grace_);
  return executor_->formed();
}

absl::StatusOr<Executor*> RankLifecycle::BeginRun(const RunStart& start, const std::string& router,
                                                  std::function<void(const std::string&)> fence) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(SeeEpoch(start.group_epoch()));
  if (state_ != State::kFormed || start.group_epoch() != request_.group_epoch() ||
      start.rank() != request_.rank()) {
    return absl::FailedPreconditionError(
        absl::StrCat("Run of rank ", start.rank(), " of epoch ", start.group_epoch(),
                     ": this worker is ", NameOf(state_), ", last as rank ", request_.rank(),
                     " of epoch ", request_.group_epoch(), "; Form comes first"));
  }
  state_ = State::kRunning;
  run_by_ = router;
  owner_.HoldWhile(router, [] { return true; });  // until the stream is lost or ends
  fence_ = std::move(fence);
  return executor_.get();
}

void RankLifecycle::AbortRun(uint64_t epoch, const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  if (executor_ == nullptr || request_.group_epoch() != epoch) return;
  executor_->Abort(reason);
  owner_.ReleaseBy(run_by_);
}

// Frees all of the rank's memory, without the lock. A device that no longer works afterwards would
// refuse every later rank: then this process ends, for its supervisor to start another.
void RankLifecycle::Destroy(std::unique_ptr<Executor> executor) {
  if (executor == nullptr) return;
  {
    const CleanupDeadline deadline("giving back a rank");
    executor.reset();
  }
  const absl::Status usable = device_.Probe();
  if (usable.ok()) return;
  std::fprintf(stderr, "regatta-worker: %s; this process ends\n", usable.ToString().c_str());
  std::_Exit(1);
}

void RankLifecycle::EndRun(const absl::Status& outcome) {
  std::unique_ptr<Executor> executor;
  {
    absl::MutexLock lock(&mutex_);
    CHECK(state_ == State::kRunning);
    executor = std::move(executor_);
    state_ = State::kEnding;
    owner_.ReleaseBy(run_by_);
  }
  Destroy(std::move(executor));
  absl::MutexLock lock(&mutex_);
  // A rank that was taken back has not failed, even when Close no longer waits for it.
  state_ = outcome.ok() || stop_ ? State::kIdle : State::kFaulted;
  fence_ = nullptr;
}

absl::Status RankLifecycle::Dissolve(uint64_t epoch, const std::string& router, bool take_over,
                                     absl::Duration timeout) {
  {
    absl::MutexLock lock(&mutex_);
    if (!take_over) RETURN_IF_ERROR(CheckOwner(router));
    RETURN_IF_ERROR(SeeEpoch(epoch));
    owner_.Release();
    if (!take_over) spent_epoch_ = epoch;  // its Form may still be on the way, cancelled
    if (take_over) owner_.HoldFor(router, owner_grace_);
  }
  return Close(absl::StrCat("dissolved by epoch ", epoch), timeout);
}

absl::Status RankLifecycle::Close(const std::string& reason, absl::Duration timeout) {
  std::function<void(const std::string&)> fence;
  uint64_t held_epoch = 0;
  {
    absl::MutexLock lock(&mutex_);
    held_epoch = request_.group_epoch();
    offer_.reset();
    stop_ = true;
    fence = std::exchange(fence_, nullptr);
    if (executor_ != nullptr) executor_->Abort(reason);
  }
  if (fence) fence(reason);
  std::unique_ptr<Executor> executor;
  {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(this, &RankLifecycle::Settled), timeout)) {
      return absl::DeadlineExceededError(
          absl::StrCat("still ", NameOf(state_), " after ", absl::FormatDuration(timeout)));
    }
    if (request_.group_epoch() != held_epoch) return absl::OkStatus();  // formed anew meanwhile
    executor = std::move(executor_);
    state_ = State::kEnding;
  }
  Destroy(std::move(executor));
  absl::MutexLock lock(&mutex_);
  state_ = State::kIdle;
  return absl::OkStatus();
}

}  // namespace regatta
