// Handlers: transport to RankLifecycle and back; see service.h.
#include "worker/service.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/grpc_status.h"
#include "common/version.h"
#include "worker/host_memory.h"

namespace regatta {
namespace {

constexpr absl::Duration kHeartbeat = absl::Milliseconds(100);
constexpr absl::Duration kDissolveTimeout = absl::Seconds(10);

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StartsWith(field.first, "model name")) {
      return std::string(absl::StripAsciiWhitespace(field.second));
    }
  }
  return "CPU";
}

// Ranks share memory by way of /proc, so what they must share is the process namespace.
std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  std::error_code error;
  const auto space = std::filesystem::read_symlink("/proc/self/ns/pid", error);
  return absl::StrCat(name, "/", space.string());
}

}  // namespace

WorkerService::WorkerService(int num_threads)
    : num_threads_(num_threads),
      lifecycle_(num_threads),
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
  static const std::string& cpu = *new std::string(CpuName());
  static const std::string& host = *new std::string(HostName());
  response->set_protocol_version(kProtocolVersion);
  response->set_device_kind("cpu");
  response->set_device_name(cpu);
  response->set_memory_bytes(AvailableHostMemory());
  response->set_host(host);
  response->set_version(kVersion);
  response->set_commit(BuildCommit());
  response->set_pid(static_cast<uint32_t>(getpid()));
  response->set_threads(static_cast<uint32_t>(num_threads_));
  lifecycle_.Describe(*response);
  return grpc::Status::OK;
}

grpc::Status WorkerService::Prepare(grpc::ServerContext*, const PrepareRequest* request,
                                    PrepareResponse* response) {
  absl::StatusOr<std::string> id = lifecycle_.Prepare(*request);
  if (id.ok()) response->set_communicator_id(*id);
  return ToGrpc(id.status());
}

grpc::Status WorkerService::Form(grpc::ServerContext* context, const FormRequest* request,
                                 grpc::ServerWriter<FormProgress>* writer) {
  const auto report = [&](const FormProgress& progress) {
    if (context->IsCancelled() || !writer->Write(progress)) lifecycle_.StopForming();
  };
  const absl::StatusOr<Formed> formed = lifecycle_.Form(*request, report);
  if (!formed.ok()) return ToGrpc(formed.status());
  FormProgress last;
  last.set_stage("formed");
  last.set_fraction(1);
  *last.mutable_formed() = *formed;
  writer->Write(last);
  return grpc::Status::OK;
}

grpc::Status WorkerService::Dissolve(grpc::ServerContext*, const DissolveRequest* request,
                                     DissolveResponse*) {
  return ToGrpc(lifecycle_.Dissolve(request->group_epoch(), kDissolveTimeout));
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
    if (session != nullptr) session->SendHeartbeat();
  }
}

}  // namespace regatta
