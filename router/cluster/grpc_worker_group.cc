// Run streams of one group; see grpc_worker_group.h.
#include "router/cluster/grpc_worker_group.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(25);

std::string Progress(const Heartbeat& beat) {
  return absl::StrCat("received step ", beat.received(), ", launched ", beat.launched(),
                      ", completed ", beat.completed());
}

}  // namespace

GrpcWorkerGroup::GrpcWorkerGroup(const GrpcWorkerGroupOptions& options,
                                 std::vector<RankEndpoint> ranks)
    : options_(options), ranks_(ranks.size()) {
  for (RankEndpoint& rank : ranks) {
    streams_.push_back(std::make_unique<RankStream>(std::move(rank), options.max_queued_plans,
                                                    static_cast<RankStream::Listener&>(*this)));
  }
}

GrpcWorkerGroup::~GrpcWorkerGroup() { Stop(); }

void GrpcWorkerGroup::Start(OnResult on_result) {
  {
    absl::MutexLock lock(&mutex_);
    on_result_ = std::move(on_result);
    for (RankState& rank : ranks_) rank.last_heard_ns = clock_.NowNs();
  }
  for (const auto& stream : streams_) stream->Start(options_.epoch);
  watcher_ = std::thread([this] { WatchHeartbeats(); });
}

void GrpcWorkerGroup::Dispatch(const StepPlan& plan) {
  RunRequest request;
  plan.SerializeToString(request.mutable_plan());
  SendToAll(request);
}

void GrpcWorkerGroup::SendMasks(SampleInput input) {
  RunRequest request;
  *request.mutable_sample_input() = std::move(input);
  SendToAll(request);
}

void GrpcWorkerGroup::SendToAll(const RunRequest& request) {
  const grpc::ByteBuffer message = ToByteBuffer(request);
  for (const auto& stream : streams_) {
    if (stream->Send(message)) continue;
    absl::MutexLock lock(&mutex_);
    Fence(absl::StrCat(stream->endpoint().Name(), " does not read: ", options_.max_queued_plans,
                       " plans wait to be written"));
    return;
  }
}

void GrpcWorkerGroup::OnResponse(RankStream& stream, const RunResponse& response) {
  if (response.heartbeat().has_gpu() && options_.metrics) {
    options_.metrics->rank(stream.endpoint().rank).gpu.Set(response.heartbeat().gpu());
  }
  absl::MutexLock lock(&mutex_);
  RankState& rank = ranks_[stream.endpoint().rank];
  rank.last_heard_ns = clock_.NowNs();
  rank.heard = true;
  if (response.has_heartbeat()) {
    rank.newest = response.heartbeat();
    if (options_.metrics) {
      options_.metrics->rank(stream.endpoint().rank).completed.Set(rank.newest.completed());
    }
  }
  if (response.has_ack()) {
    CheckHash(stream, response.ack().step_id(), response.ack().plan_hash());
    CountStep(stream, response.ack().compute_ns());
  }
  if (response.has_result()) {
    CheckHash(stream, response.result().step_id(), response.result().plan_hash());
    CountStep(stream, response.result().compute_ns());
    // Under the lock, so that nothing follows the call that fences.
    if (on_result_) on_result_(response.result());
  }
}

void GrpcWorkerGroup::CountStep(const RankStream& stream, uint64_t compute_ns) {
  if (options_.metrics == nullptr || compute_ns == 0) return;
  RankMetrics& rank = options_.metrics->rank(stream.endpoint().rank);
  rank.compute_ns.Add(compute_ns);
  rank.timed_steps.Add(1);
}

void GrpcWorkerGroup::CheckHash(const RankStream& stream, uint64_t step_id, uint64_t plan_hash) {
  StepHash& known = hashes_[step_id % hashes_.size()];
  if (known.step_id != step_id) {
    known = {step_id, plan_hash};
  } else if (known.hash != plan_hash) {
    Fence(absl::StrCat(stream.endpoint().Name(), " got another plan for step ", step_id,
                       " than the other ranks"));
  }
}

void GrpcWorkerGroup::OnClosed(RankStream& stream, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  const RankState& rank = ranks_[stream.endpoint().rank];
  Fence(absl::StrCat(stream.endpoint().Name(), " closed its stream: ",
                     status.ok() ? "without a reason" : status.error_message(), "; ",
                     Progress(rank.newest)));
}

void GrpcWorkerGroup::Fence(const std::string& cause) {
  if (!on_result_) return;
  on_result_(absl::UnavailableError(cause));
  on_result_ = nullptr;
}

std::string GrpcWorkerGroup::Laggard() const {
  absl::MutexLock lock(&mutex_);
  size_t slowest = 0;
  for (size_t i = 1; i < ranks_.size(); ++i) {
    if (ranks_[i].newest.completed() < ranks_[slowest].newest.completed()) slowest = i;
  }
  return absl::StrCat(streams_[slowest]->endpoint().Name(),
                      " is furthest behind: ", Progress(ranks_[slowest].newest));
}

void GrpcWorkerGroup::WatchHeartbeats() {
  absl::MutexLock lock(&mutex_);
  while (!mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kWatchInterval)) {
    for (size_t i = 0; i < ranks_.size(); ++i) {
      const absl::Duration silence = absl::Nanoseconds(clock_.NowNs() - ranks_[i].last_heard_ns);
      const absl::Duration limit = ranks_[i].heard ? options_.heartbeat_timeout : kFirstBeatTimeout;
      if (silence <= limit) continue;
      Fence(absl::StrCat(streams_[i]->endpoint().Name(), " has been silent for ",
                         absl::ToInt64Milliseconds(silence), " ms; ", Progress(ranks_[i].newest)));
    }
  }
}

void GrpcWorkerGroup::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    on_result_ = nullptr;
    stopping_ = true;
  }
  if (!watcher_.joinable()) return;  // Never started, or stopped before.
  watcher_.join();
  for (const auto& stream : streams_) stream->Cancel();
  for (const auto& stream : streams_) stream->Await();
}

}  // namespace regatta
