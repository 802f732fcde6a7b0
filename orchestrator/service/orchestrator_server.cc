// See orchestrator_server.h.
#include "orchestrator/service/orchestrator_server.h"

#include <fcntl.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/atomic_file.h"
#include "common/grpc_listener.h"
#include "common/status_macros.h"
#include "orchestrator/service/orchestrator_service.h"
#include "orchestrator/service/run_book.h"
#include "orchestrator/service/run_request.h"
#include "orchestrator/service/run_scheduler.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxThreads = 160;        // of calls, streams among them
constexpr int kMessageSlack = 1 << 20;  // of a request beyond the files it carries
constexpr absl::Duration kTick = absl::Milliseconds(50);

// Makes the directory and takes its lock, which the descriptor holds. FAILED_PRECONDITION while
// another service has it.
absl::StatusOr<int> TakeStateDirectory(const std::string& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  const std::string path = dir + "/lock";
  const int fd = error ? -1 : ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat(
        "--state: cannot write in '", dir, "': ", error ? error.message() : std::strerror(errno)));
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return absl::FailedPreconditionError(
      absl::StrCat("--state: another service works in '", dir, "'"));
}

struct Listener {
  std::unique_ptr<grpc::Server> server;
  std::string address;  // as bound
};

absl::StatusOr<Listener> Listen(const OrchestratorServerOptions& options,
                                OrchestratorService& service) {
  ASSIGN_OR_RETURN(const auto credentials, MakeServerCredentials(options.tls, options.listen));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ResourceQuota quota("orchestrator");
  quota.SetMaxThreads(kMaxThreads);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second service is told
  builder.SetMaxReceiveMessageSize(static_cast<int>(kMaxInputBytes) + kMessageSlack);
  builder.SetResourceQuota(quota);
  builder.RegisterService(&service);
  Listener listener;
  ASSIGN_OR_RETURN(listener.server, StartListening(builder, options.listen, port));
  listener.address = absl::StrCat(options.listen.substr(0, options.listen.rfind(':')), ":", port);
  return listener;
}

}  // namespace

absl::Status RunOrchestratorServer(const OrchestratorServerOptions& options,
                                   const std::atomic<bool>& stop) {
  ASSIGN_OR_RETURN(const int lock, TakeStateDirectory(options.state_dir));
  const absl::Cleanup unlock = [lock] { ::close(lock); };
  std::error_code error;
  const std::string state_dir = fs::canonical(options.state_dir, error).string();
  ASSIGN_OR_RETURN(
      const std::unique_ptr<RunBook> book,
      RunBook::Open({state_dir, options.data_dir, options.max_queued, options.allow_changes}));
  OrchestratorService service(*book);
  ASSIGN_OR_RETURN(const Listener listener, Listen(options, service));
  if (!options.address_file.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(options.address_file, listener.address + "\n"));
  }
  std::cerr << "orchestrator on " << listener.address << ", state in " << state_dir
            << "; Ctrl-C ends it\n";
  if (!options.send_api_key) ::unsetenv("OPENAI_API_KEY");  // runs would inherit it
  RunProcessOptions processes;
  processes.program = fs::read_symlink("/proc/self/exe", error).string();
  processes.tls = options.tls;
  processes.stop_grace = absl::Seconds(options.stop_grace_s);
  RunScheduler scheduler(*book, processes);
  while (!stop.load()) {
    scheduler.Tick();
    absl::SleepFor(kTick);
  }
  book->Close();
  scheduler.StopAll();
  constexpr std::chrono::seconds kLastAnswers(5);
  listener.server->Shutdown(std::chrono::system_clock::now() + kLastAnswers);
  return absl::OkStatus();
}

}  // namespace regatta
