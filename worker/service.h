// WorkerService: the gRPC face of one worker process.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "proto/worker.grpc.pb.h"
#include "worker/gpu_watch.h"
#include "worker/rank_lifecycle.h"
#include "worker/run_session.h"

namespace regatta {

// Blocking handlers but for Run, whose reads, writes and end must not wait for one another.
class WorkerService final : public Worker::WithCallbackMethod_Run<Worker::Service> {
 public:
  // `device` and `gpu` must outlive it; without `gpu` nothing is told of one.
  explicit WorkerService(Device& device, const GpuWatch* gpu = nullptr);
  // After the server has shut down.
  ~WorkerService() override;

  // Ends whatever is in progress, so that the server can shut down. No rank is held afterwards,
  // unless a step takes longer than `timeout` to notice.
  void Fence(const std::string& reason, absl::Duration timeout);

  grpc::Status Describe(grpc::ServerContext* context, const DescribeRequest* request,
                        WorkerDescription* response) override;
  grpc::Status Prepare(grpc::ServerContext* context, const PrepareRequest* request,
                       PrepareResponse* response) override;
  grpc::Status Form(grpc::ServerContext* context, const FormRequest* request,
                    grpc::ServerWriter<FormProgress>* writer) override;
  grpc::Status Dissolve(grpc::ServerContext* context, const DissolveRequest* request,
                        DissolveResponse* response) override;
  grpc::ServerBidiReactor<RunRequest, RunResponse>* Run(
      grpc::CallbackServerContext* context) override;

 private:
  void Launch(std::shared_ptr<RunSession> session) ABSL_LOCKS_EXCLUDED(mutex_);
  void SendHeartbeats();

  Device& device_;
  const GpuWatch* const gpu_;
  RankLifecycle lifecycle_;
  absl::Mutex mutex_;
  std::weak_ptr<RunSession> session_ ABSL_GUARDED_BY(mutex_);  // the newest that runs
  std::thread plan_thread_ ABSL_GUARDED_BY(mutex_);            // executes its plans
  absl::Notification stopping_;
  std::thread heartbeat_thread_;
};

}  // namespace regatta
