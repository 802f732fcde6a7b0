// The cluster API; see cluster_service.h.
#include "router/cluster/cluster_service.h"

#include <grpcpp/alarm.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"

namespace regatta {
namespace {

constexpr uint32_t kDefaultWatchMs = 500;
constexpr uint32_t kMinWatchMs = 10;
constexpr uint32_t kMaxWatchMs = 60'000;

// A server stream that is fed from other threads; it lives until the call and the last feeder are
// done.
template <typename Message>
class FedStream : public grpc::ServerWriteReactor<Message>,
                  public std::enable_shared_from_this<FedStream<Message>> {
 public:
  void KeepUntilDone() { self_ = this->shared_from_this(); }

  void Write(Message message) {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    pending_.push_back(std::move(message));
    WriteNext();
  }
  // Ends the call once everything is written.
  void End(grpc::Status status) {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(ended_, true)) return;
    status_ = std::move(status);
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    pending_.pop_front();
    WriteNext();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { auto last = std::move(self_); }

 protected:
  bool ended() {
    absl::MutexLock lock(&mutex_);
    return ended_;
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_) return;
    if (!pending_.empty()) {
      writing_ = true;
      this->StartWrite(&pending_.front());
    } else if (ended_) {
      this->Finish(status_);
    }
  }

  std::shared_ptr<FedStream> self_;
  absl::Mutex mutex_;
  std::deque<Message> pending_ ABSL_GUARDED_BY(mutex_);
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// The state now and at every interval. A write is awaited by the next interval, so a slow reader
// gets fewer states.
class WatchCall final : public FedStream<ClusterState> {
 public:
  WatchCall(Coordinator& coordinator, uint32_t interval_ms)
      : coordinator_(coordinator), interval_(interval_ms) {}

  void Start() {
    KeepUntilDone();
    Ask();
  }

  void OnWriteDone(bool ok) override {
    FedStream::OnWriteDone(ok);
    absl::MutexLock lock(&alarm_mutex_);
    if (ended()) return;
    // A fresh one each time, and no ownership: an alarm keeps its callback after it has rung.
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + interval_,
                [weak = weak_from_this(), this](bool rang) {
                  const auto self = weak.lock();
                  if (rang && self != nullptr && !ended()) Ask();
                });
  }
  void OnCancel() override {
    FedStream::OnCancel();
    absl::MutexLock lock(&alarm_mutex_);
    if (alarm_ != nullptr) alarm_->Cancel();
  }

 private:
  void Ask() {
    coordinator_.State(
        [self = shared_from_this()](ClusterState state) { self->Write(std::move(state)); });
  }

  Coordinator& coordinator_;
  const std::chrono::milliseconds interval_;
  absl::Mutex alarm_mutex_;
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(alarm_mutex_);
};

}  // namespace

grpc::ServerUnaryReactor* ClusterService::Describe(grpc::CallbackServerContext* context,
                                                   const ClusterDescribeRequest* request,
                                                   ClusterDescription* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.Describe([reactor, response](ClusterDescription description) {
    *response = std::move(description);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ClusterService::Drain(grpc::CallbackServerContext* context,
                                                const DrainRequest* request,
                                                DrainResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.Drain(absl::Milliseconds(request->deadline_ms()),
                     [reactor, response](DrainResponse drained) {
                       *response = std::move(drained);
                       reactor->Finish(grpc::Status::OK);
                     });
  return reactor;
}

grpc::ServerWriteReactor<RepartitionProgress>* ClusterService::Repartition(
    grpc::CallbackServerContext* context, const RepartitionRequest* request) {
  auto call = std::make_shared<FedStream<RepartitionProgress>>();
  call->KeepUntilDone();
  coordinator_.Repartition(
      *request, [call](const RepartitionProgress& progress) { call->Write(progress); },
      [call](const absl::Status& status) { call->End(ToGrpc(status)); });
  return call.get();
}

grpc::ServerWriteReactor<ClusterState>* ClusterService::Watch(grpc::CallbackServerContext* context,
                                                              const WatchRequest* request) {
  const uint32_t asked = request->interval_ms() > 0 ? request->interval_ms() : kDefaultWatchMs;
  auto call =
      std::make_shared<WatchCall>(coordinator_, std::clamp(asked, kMinWatchMs, kMaxWatchMs));
  call->Start();
  return call.get();
}

}  // namespace regatta
