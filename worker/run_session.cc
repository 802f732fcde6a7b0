// The Run stream's reactions and its plan loop; see run_session.h.
#include "worker/run_session.h"

#include <sys/prctl.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Messages that may wait while the router does not read.
constexpr size_t kMaxQueuedResponses = 1024;
constexpr absl::Duration kPlanWait = absl::Seconds(1);
constexpr unsigned long kTimerSlackNs = 1000;  // waking late by less is of no use to the kernel

}  // namespace

std::shared_ptr<RunSession> RunSession::Start(grpc::CallbackServerContext& context,
                                              RankLifecycle& lifecycle, Launcher launch) {
  std::shared_ptr<RunSession> session(new RunSession(context, lifecycle, std::move(launch)));
  session->self_ = session;
  session->StartRead(&session->request_);
  return session;
}

void RunSession::OnReadDone(bool ok) {
  if (!ok) {
    plans_.Close();
    inputs_.Close();
    if (!started_) Close(absl::CancelledError("the stream ended before it named its rank"));
    return;
  }
  if (!started_) {
    if (absl::Status status = TakeStart(); !status.ok()) return Close(status);
    started_ = true;
    launch_(shared_from_this());
  } else {
    const absl::Status status = request_.has_sample_input() ? TakeSampleInput() : TakePlan();
    if (!status.ok()) return Fence(status);
  }
  request_.Clear();
  StartRead(&request_);
}

absl::Status RunSession::TakeStart() {
  if (!request_.has_start()) {
    return absl::InvalidArgumentError("the first message of a Run stream must hold `start`");
  }
  const std::weak_ptr<RunSession> weak = weak_from_this();
  const auto fence = [weak](const std::string& reason) {
    if (auto session = weak.lock()) session->Fence(absl::AbortedError(reason));
  };
  ASSIGN_OR_RETURN(executor_,
                   lifecycle_.BeginRun(request_.start(), RouterAddress(context_.peer()), fence));
  epoch_ = request_.start().group_epoch();
  draws_ = executor_->draws();
  return absl::OkStatus();
}

absl::Status RunSession::TakePlan() {
  // Steps are numbered without gaps, so the count of plans is the newest id.
  ++received_;
  if (plans_.TryPush(std::move(*request_.mutable_plan()))) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("more than ", kMaxQueuedPlans, " plans wait; the group runs fewer"));
}

absl::Status RunSession::TakeSampleInput() {
  return draws_ ? inputs_.Put(std::move(*request_.mutable_sample_input())) : absl::OkStatus();
}

void RunSession::ExecutePlans() {
  std::thread collector([this] { CollectSteps(); });
  absl::Status status = LaunchPlans();
  if (!status.ok()) lifecycle_.AbortRun(epoch_, std::string(status.message()));
  steps_.Close();
  collector.join();
  if (status.ok()) status = fenced();  // by a step that failed after the last plan
  executor_ = nullptr;
  lifecycle_.EndRun(status);
  Close(status);
}

absl::Status RunSession::LaunchPlans() {
  while (true) {
    const std::optional<std::string> plan = plans_.Pop(kPlanWait);
    RETURN_IF_ERROR(fenced());
    if (!plan.has_value()) {
      if (plans_.closed()) return absl::OkStatus();
      continue;
    }
    ++launched_;
    RETURN_IF_ERROR(executor_->Launch(*plan, inputs_));
    CHECK(steps_.TryPush(launched_.load())) << "more steps in flight than plans may wait";
  }
}

void RunSession::CollectSteps() {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  while (true) {
    if (!steps_.Pop(kPlanWait).has_value()) {
      if (steps_.closed()) return;
      continue;
    }
    absl::StatusOr<StepResult> result = executor_->Collect();
    if (!result.ok()) return Fence(result.status());
    ++completed_;
    RunResponse response;
    if (executor_->samples()) {
      *response.mutable_result() = *std::move(result);
    } else {
      response.mutable_ack()->set_step_id(result->step_id());
      response.mutable_ack()->set_plan_hash(result->plan_hash());
      response.mutable_ack()->set_compute_ns(result->compute_ns());
    }
    Send(std::move(response));
  }
}

void RunSession::SendHeartbeat(const std::optional<GpuReading>& gpu) {
  if (!started_) return;
  RunResponse response;
  response.mutable_heartbeat()->set_received(received_);
  response.mutable_heartbeat()->set_launched(launched_);
  response.mutable_heartbeat()->set_completed(completed_);
  if (gpu.has_value()) *response.mutable_heartbeat()->mutable_gpu() = *gpu;
  Send(std::move(response));
}

void RunSession::Send(RunResponse response) {
  {
    absl::MutexLock lock(&mutex_);
    if (outcome_.has_value()) return;
    if (outgoing_.size() < kMaxQueuedResponses) {
      outgoing_.push_back(std::move(response));
      if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
      return;
    }
    // The write in progress would not end otherwise. Under the lock: nothing has finished the call.
    context_.TryCancel();
  }
  Fence(absl::ResourceExhaustedError(
      absl::StrCat("the router has left ", kMaxQueuedResponses, " responses unread")));
}

void RunSession::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  outgoing_.pop_front();
  if (!ok || (outcome_.has_value() && !outcome_->ok())) outgoing_.clear();
  if (!outgoing_.empty()) {
    StartWrite(&outgoing_.front());
  } else if (outcome_.has_value()) {
    Finish(ToGrpc(*outcome_));
  }
}

void RunSession::OnCancel() { Fence(absl::CancelledError("the router's stream is lost")); }

void RunSession::Fence(const absl::Status& reason) {
  {
    absl::MutexLock lock(&mutex_);
    if (fence_.ok()) fence_ = reason;
  }
  plans_.Close();
  if (started_) lifecycle_.AbortRun(epoch_, std::string(reason.message()));
}

absl::Status RunSession::fenced() const {
  absl::MutexLock lock(&mutex_);
  return fence_;
}

void RunSession::Close(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (outcome_.has_value()) return;
  outcome_ = status;
  if (outgoing_.empty()) Finish(ToGrpc(status));
}

}  // namespace regatta
