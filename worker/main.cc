// regatta-worker: serves one rank until told to stop; with --devices, one such process per device.
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/atomic_file.h"
#include "common/credentials.h"
#include "common/flags.h"
#include "common/grpc_listener.h"
#include "common/status_macros.h"
#include "worker/address.h"
#include "worker/device.h"
#include "worker/gpu_watch.h"
#include "worker/health_report.h"
#include "worker/service.h"
#include "worker/supervisor.h"

namespace regatta {
namespace {

constexpr double kLeastHangTimeoutS = 3;    // a busy host may keep any process waiting that long
constexpr int kMaxMessageBytes = 64 << 20;  // a plan of a million tokens takes 5 MB
constexpr auto kShutdownGrace = std::chrono::milliseconds(500);
constexpr auto kLongestShutdown = std::chrono::milliseconds(1500);

struct Flags {
  std::string listen = "127.0.0.1:9001";
  std::string device;
  std::string devices;
  std::string address_file;
  std::string nvml = kNvmlLibrary;
  std::string gpu;  // PCI id of the GPU to be read; empty = the device's
  int threads = 0;  // 0 = the host's cores / workers
  double hang_timeout_s = 60;
  bool report_health = false;
  bool exit_with_parent = false;
  bool list_devices = false;
  TlsOptions tls;
};

absl::Status Fail(const char* flag, const std::string& value, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(flag, " '", value, "': ", why));
}

// "all" (every GPU, else the CPU), "4" (as many GPUs, or CPU ranks where there are none), "cpu:4",
// or a list of devices.
absl::StatusOr<std::vector<std::string>> WorkerDevices(const std::string& devices) {
  constexpr int kMost = 64;
  std::vector<std::string> there = ListDevices();
  if (there.size() > 1) there.pop_back();  // the CPU beside GPUs
  if (devices == "all") return there;
  const bool cpu = absl::StartsWith(devices, "cpu:") || there.front() == "cpu";
  int count = 0;
  if (!absl::SimpleAtoi(absl::StripPrefix(devices, "cpu:"), &count)) {
    return std::vector<std::string>(absl::StrSplit(devices, ','));
  }
  const int most = cpu ? kMost : static_cast<int>(there.size());
  if (count < 1 || count > most) {
    return Fail("--devices", devices,
                absl::StrCat("1 to ", most, cpu ? " CPU ranks" : " GPUs of this host"));
  }
  if (cpu) return std::vector<std::string>(count, "cpu");
  there.resize(count);
  return there;
}

int DefaultThreads(int num_workers) {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / num_workers);
}

absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(const Flags& flags,
                                                          WorkerService& service, int& port) {
  ASSIGN_OR_RETURN(auto credentials, MakeServerCredentials(flags.tls, flags.listen));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(flags.listen, credentials, &port);
  builder.RegisterService(&service);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a taken port is an error
  // A router whose host has vanished does not close its streams.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 2000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return StartListening(builder, flags.listen, port);
}

int AwaitSignal(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

absl::Status Serve(const Flags& flags, const sigset_t& signals) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Device> device,
                   OpenDevice(flags.device.empty() ? ListDevices().front() : flags.device,
                              flags.threads > 0 ? flags.threads : DefaultThreads(1)));
  GpuIdentity gpu = device->gpu();
  if (!flags.gpu.empty()) gpu.pci_id = flags.gpu;
  const GpuWatch watch(flags.nvml, gpu);
  WorkerService service(*device, &watch);
  int port = 0;
  ASSIGN_OR_RETURN(const std::unique_ptr<grpc::Server> server, StartServer(flags, service, port));
  const std::string address = WithPort(flags.listen, port);
  if (!flags.address_file.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(flags.address_file, address + "\n"));
  }
  PrintListeningLine(address);
  std::optional<HealthReport> report;
  if (flags.report_health) report.emplace(*server);
  AwaitSignal(signals);
  // A long step notices nothing until its end; this process ends all the same.
  std::thread([] {
    std::this_thread::sleep_for(kLongestShutdown);
    std::_Exit(0);
  }).detach();
  report.reset();
  service.Fence("this worker was told to end", absl::Seconds(1));
  server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  return absl::OkStatus();
}

absl::StatusOr<int> SuperviseAll(const Flags& flags) {
  SupervisorOptions options;
  ASSIGN_OR_RETURN(options.devices, WorkerDevices(flags.devices));
  options.listen = flags.listen;
  options.address_file = flags.address_file;
  options.hang_timeout = std::chrono::milliseconds(std::lround(flags.hang_timeout_s * 1000));
  const int threads =
      flags.threads > 0 ? flags.threads : DefaultThreads(static_cast<int>(options.devices.size()));
  options.worker_arguments = {"--threads", absl::StrCat(threads)};
  for (const auto& [flag, value] : {std::pair("--tls-cert", flags.tls.cert),
                                    {"--tls-key", flags.tls.key},
                                    {"--tls-ca", flags.tls.ca}}) {
    if (value.empty()) continue;
    options.worker_arguments.push_back(flag);
    options.worker_arguments.push_back(value);
  }
  if (flags.tls.insecure) options.worker_arguments.push_back("--insecure");
  return Supervise(options);
}

absl::StatusOr<int> Run(const Flags& flags) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread, so that all inherit it
  if (flags.exit_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (!flags.device.empty() && !flags.devices.empty()) {
    return Fail("--device", flags.device, "--devices names the devices already");
  }
  if (flags.threads < 0 || flags.threads > 1024) {
    return Fail("--threads", absl::StrCat(flags.threads), "0 (share the cores) to 1024");
  }
  if (flags.hang_timeout_s != 0 &&
      !(flags.hang_timeout_s >= kLeastHangTimeoutS && flags.hang_timeout_s <= kOneDayS)) {
    return Fail("--hang-timeout", absl::StrCat(flags.hang_timeout_s),
                absl::StrCat("0 (never) or ", kLeastHangTimeoutS, " to ", kOneDayS, " seconds"));
  }
  if (!flags.devices.empty()) return SuperviseAll(flags);
  RETURN_IF_ERROR(Serve(flags, signals));
  return 0;
}

int Main(int argc, char** argv) {
  prctl(PR_SET_NAME, "regatta-worker");  // Under a supervisor it would be "exe" to ps and top.
  Flags flags;
  CLI::App app("Holds one shard of a model and executes the step plans of a regatta-router.");
  app.footer("Example:\n  regatta-worker --device cuda:0 --listen 127.0.0.1:9001");
  app.add_option("--listen", flags.listen, "host:port; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--device", flags.device, "cuda:N or cpu; default: the first of --list-devices");
  app.add_option("--devices", flags.devices,
                 "N, all, cpu:N or cuda:0,cuda:1: supervise one worker per device, on consecutive "
                 "ports");
  app.add_flag("--list-devices", flags.list_devices, "print the devices there are and end");
  app.add_option("--threads", flags.threads, "CPU threads per worker; default: its share of cores");
  app.add_option("--address-file", flags.address_file,
                 "write the bound addresses there, one per line");
  app.add_option(
         "--hang-timeout", flags.hang_timeout_s,
         "with --devices: seconds without an answer to a health check, after which a worker "
         "is killed and started again; 0 = never")
      ->capture_default_str();
  app.add_flag("--report-health", flags.report_health,
               "print a line twice a second for as long as it answers")
      ->group("");
  app.add_option("--nvml", flags.nvml, "library that is asked what the GPU says")->group("");
  app.add_option("--gpu", flags.gpu, "PCI id of the GPU to be read, for tests on CPU ranks")
      ->group("");
  app.add_flag("--exit-with-parent", flags.exit_with_parent, "end when the parent process does");
  AddTlsFlags(app, flags.tls);
  if (const int code = ParseFlags(app, argc, argv); code >= 0) return code;
  if (flags.list_devices) {
    for (const std::string& device : ListDevices()) std::printf("%s\n", device.c_str());
    return 0;
  }
  const absl::StatusOr<int> code = Run(flags);
  if (code.ok()) return *code;
  std::fprintf(stderr, "regatta-worker: %s\n", std::string(code.status().message()).c_str());
  return absl::IsInvalidArgument(code.status()) || absl::IsNotFound(code.status()) ? 2 : 1;
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) { return regatta::Main(argc, argv); }
