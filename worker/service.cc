// Handlers: transport to RankLifecycle and back; see service.h.
#include "worker/service.h"

#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/take_over.h"
#include "common/version.h"

namespace regatta {
namespace {

constexpr absl::Duration kHeartbeat = absl::Milliseconds(100);
constexpr absl::Duration kDissolveTimeout = absl::Seconds(10);

// Ranks share memory by way of /proc, so what they must share is the process namespace.
std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  std::error_code error;
  const auto space = std::filesystem::read_symlink("/proc/self/ns/pid", error);
  return absl::StrCat(name, "/", space.string());
}

// Valid as long as `context`.
RouterCall CallOf(grpc::ServerContext& context) {
  return {RouterAddress(context.peer()), [&context] { return !context.IsCancelled(); }};
}

}  // namespace

WorkerService::WorkerService(Device& device, const GpuWatch* gpu)
    : device_(device),
      gpu_(gpu),
      lifecycle_(device),
      heartbeat_thread_([this] { SendHeartbeats(); }) {}

WorkerService::~WorkerService() {
  stopping_.Notify();
  heartbeat_thread_.join();
  absl::MutexLock lock(&mutex_);
  if (plan_thread_.joinable()) plan_thread_.join();
}

void WorkerService::Fence(const std::string& reason, absl::Duration timeout) {
  lifecycle_.Close(reason, timeout).IgnoreError();
}

grpc::Status WorkerService::Describe(grpc::ServerContext*, const DescribeRequest*,
                                     WorkerDescription* response) {
  static const std::string& host = *new std::string(HostName());
  response->set_protocol_version(kProtocolVersion);
  response->set_device_kind(device_.kind());
  response->set_device_name(device_.name());
  response->set_memory_bytes(device_.memory_bytes());
  response->set_host(host);
  response->set_version(kVersion);
  response->set_commit(BuildCommit());
  response->set_pid(static_cast<uint32_t>(getpid()));
  response->set_threads(static_cast<uint32_t>(device_.num_threads()));
  if (gpu_ != nullptr) gpu_->Describe(*response);
  lifecycle_.Describe(*response);
  return grpc::Status::OK;
}

grpc::Status WorkerService::Prepare(grpc::ServerContext* context, const PrepareRequest* request,
                                    PrepareResponse* response) {
  absl::StatusOr<std::string> id = lifecycle_.Prepare(*request, CallOf(*context));
  if (id.ok()) response->set_communicator_id(*id);
  return ToGrpc(id.status());
}

grpc::Status WorkerService::Form(grpc::ServerContext* context, const FormRequest* request,
                                 grpc::ServerWriter<FormProgress>* writer) {
  const auto report = [&](const FormProgress& progress) {
    if (context->IsCancelled() || !writer->Write(progress)) lifecycle_.StopForming();
  };
  const absl::StatusOr<Formed> formed = lifecycle_.Form(*request, CallOf(*context), report);
  if (!formed.ok()) return ToGrpc(formed.status());
  FormProgress last;
  last.set_stage("formed");
  last.set_fraction(1);
  *last.mutable_formed() = *formed;
  writer->Write(last);
  return grpc::Status::OK;
}

grpc::Status WorkerService::Dissolve(grpc::ServerContext* context, const DissolveRequest* request,
                                     DissolveResponse*) {
  const bool take_over = context->client_metadata().count(kTakeOverMetadata) > 0;
  return ToGrpc(lifecycle_.Dissolve(request->group_epoch(), RouterAddress(context->peer()),
                                    take_over, kDissolveTimeout));
}

grpc::ServerBidiReactor<RunRequest, RunResponse>* WorkerService::Run(
    grpc::CallbackServerContext* context) {
  return RunSession::Start(
             *context, lifecycle_,
             [this](std::shared_ptr<RunSession> session) { Launch(std::move(session)); })
      .get();
}

void WorkerService::Launch(std::shared_ptr<RunSession> session) {
  absl::MutexLock lock(&mutex_);
  // The rank is held by one session at a time: the last one's thread has given it back and ends.
  if (plan_thread_.joinable()) plan_thread_.join();
  session_ = session;
  plan_thread_ = std::thread([session] { session->ExecutePlans(); });
}

void WorkerService::SendHeartbeats() {
  while (!stopping_.WaitForNotificationWithTimeout(kHeartbeat)) {
    std::shared_ptr<RunSession> session;
    {
      absl::MutexLock lock(&mutex_);
      session = session_.lock();
    }
    if (session == nullptr) continue;
    session->SendHeartbeat(gpu_ != nullptr ? gpu_->Newest() : std::nullopt);
  }
}

}  // namespace regatta
