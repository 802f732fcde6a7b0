// FakeWorkerService: the Worker service in this process, on a port of its own. Its model is a hash
// of the whole context (tests/sim/fake_model.h), so a lost, doubled or misplaced token changes
// everything after it. Faults can be switched on at any stage.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "proto/worker.grpc.pb.h"

namespace regatta {

enum class Fault {
  kNone,
  kDescribeHangs,
  kPrepareFails,
  kFormFails,
  kFormFailsOnce,  // after `fault_step` that succeed
  kFormHangs,
  kRunRefused,
  kStepFails,   // the stream ends with an error at `fault_step`
  kStepHangs,   // heartbeats go on, no result from `fault_step` on
  kFallsSilent  // neither heartbeats nor results from `fault_step` on
};

struct FakeWorkerOptions {
  std::string host = "host-a";
  std::string device_kind = "cpu";
  uint32_t kv_blocks = 2048;
  uint64_t compute_ns = 1'000'000;  // that it tells of every step
  bool kv_blocks_per_rank = false;  // a copy has so many for each of its ranks
  std::chrono::microseconds step_time{0};
  uint32_t protocol_version = 2;
  uint32_t num_graphs = 0;
  // That it tells with every beat; of its limit, 700 W, it tells in Describe.
  std::optional<GpuReading> gpu;
  // Draws only this token, checking no plan: for benchmarks of what feeds a worker.
  std::optional<uint32_t> only_token;
};

class FakeWorkerService final : public Worker::Service {
 public:
  explicit FakeWorkerService(const FakeWorkerOptions& options = {});
  ~FakeWorkerService() override;

  const std::string& address() const { return address_; }
  void SetFault(Fault fault, uint64_t step = 0);
  // As if the process had died: all connections close, nothing listens any more.
  void Kill();
  // As if its supervisor had restarted it, on the same address, without a rank.
  void Restart();

  std::string state() const;
  // What it was last formed with.
  FormRequest resident() const;
  uint64_t plans_run() const { return plans_run_; }

  grpc::Status Describe(grpc::ServerContext* context, const DescribeRequest* request,
                        WorkerDescription* response) override;
  grpc::Status Prepare(grpc::ServerContext* context, const PrepareRequest* request,
                       PrepareResponse* response) override;
  grpc::Status Form(grpc::ServerContext* context, const FormRequest* request,
                    grpc::ServerWriter<FormProgress>* writer) override;
  grpc::Status Run(grpc::ServerContext* context,
                   grpc::ServerReaderWriter<RunResponse, RunRequest>* stream) override;
  grpc::Status Dissolve(grpc::ServerContext* context, const DissolveRequest* request,
                        DissolveResponse* response) override;

 private:
  void Listen(const std::string& address);
  void Hang(grpc::ServerContext* context);
  grpc::Status CheckEpoch(uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // ABORTED to all routers but the one that runs a rank here, or has taken it over.
  grpc::Status CheckOwner(const grpc::ServerContext& context) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status RunPlans(grpc::ServerContext* context,
                        grpc::ServerReaderWriter<RunResponse, RunRequest>* stream,
                        const FormRequest& formed);

  const FakeWorkerOptions options_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<bool> killed_ = false;
  std::atomic<Fault> fault_ = Fault::kNone;
  std::atomic<uint64_t> fault_step_ = 0;
  std::atomic<uint64_t> plans_run_ = 0;

  mutable absl::Mutex mutex_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t spent_epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string state_ ABSL_GUARDED_BY(mutex_) = "idle";
  FormRequest resident_ ABSL_GUARDED_BY(mutex_);
  std::string owner_ ABSL_GUARDED_BY(mutex_);  // the peer that formed it or took it over
  bool taken_over_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ServerContext* running_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

// The first `count` tokens that the fake model draws greedily after `prompt`, end tokens ignored;
// under the simulation's constraint of a seed when there is one.
std::vector<uint32_t> FakeContinuation(const std::vector<uint32_t>& prompt, uint32_t count,
                                       std::optional<uint64_t> constraint_seed = std::nullopt);

}  // namespace regatta
