// Start, drain and stop of the HTTP server; see http_server.h.
#include "router/http/http_server.h"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/credentials.h"
#include "common/edge/api_keys.h"
#include "common/edge/server_tls.h"
#include "common/status_macros.h"
#include "router/http/file_watcher.h"
#include "router/http/io_thread.h"
#include "router/http/listener.h"
#include "router/http/server_state.h"

namespace regatta {
namespace {

constexpr int kMaxDefaultThreads = 4;
// Descriptors of a process beside those of its clients: workers, files, libraries.
constexpr size_t kOtherDescriptors = 512;

// Allows as many descriptors as `connections` need, as far as the system lets us.
void RaiseDescriptorLimit(const ServerState& state) {
  const size_t connections = state.options.limits.max_connections;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = connections + kOtherDescriptors;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted) return;
  state.Log(absl::StrCat("HTTP: ", connections, " connections need ", wanted,
                         " file descriptors; the system allows ", limit.rlim_cur));
}

int NumThreads(const HttpServerOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxDefaultThreads);
}

absl::Status LoadKeys(ServerState& state) {
  auto keys = ApiKeys::Load(state.options.api_key_file, state.options.log);
  if (keys.ok()) state.keys.Set(std::make_shared<const ApiKeys>(*std::move(keys)));
  return keys.status();
}

absl::Status LoadTls(ServerState& state) {
  auto tls = LoadServerTls(state.options.tls_cert, state.options.tls_key);
  if (tls.ok()) state.tls.Set(*std::move(tls));
  return tls.status();
}

// Tells people what became of a changed file.
std::function<void(const absl::Status&)> Report(const ServerState& state, const std::string& what) {
  return [&state, what](const absl::Status& status) {
    state.Log(status.ok() ? absl::StrCat("HTTP: read ", what, " again")
                          : absl::StrCat("HTTP: the old ", what, " stay: ", status.message()));
  };
}

}  // namespace

// The threads, which hold the connections, and what feeds them.
class ServerThreads {
 public:
  explicit ServerThreads(ServerState& state) : threads_(Make(state)), listener_(state, threads_) {}
  ~ServerThreads() { Stop(); }

  Listener& listener() { return listener_; }
  FileWatcher& watcher() { return watcher_; }
  void Start(absl::Duration reload_interval) {
    for (const auto& thread : threads_) thread->Start();
    watcher_.Start(reload_interval);
  }
  void StopListening() {
    listener_.Close();
    for (const auto& thread : threads_) thread->CloseIdle();
  }
  void Stop() {
    watcher_.Stop();
    for (const auto& thread : threads_) thread->Stop();
  }

 private:
  static std::vector<std::unique_ptr<IoThread>> Make(const ServerState& state) {
    std::vector<std::unique_ptr<IoThread>> threads(NumThreads(state.options));
    for (auto& thread : threads) thread = std::make_unique<IoThread>();
    return threads;
  }

  const std::vector<std::unique_ptr<IoThread>> threads_;
  Listener listener_;
  FileWatcher watcher_;
};

HttpServer::HttpServer(HttpServerOptions options)
    : state_(std::make_unique<ServerState>(std::move(options))) {}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Route(const std::string& method, const std::string& path, HttpHandler handler,
                       Access access) {
  state_->routes.Add(method, path, std::move(handler), access);
}

absl::Status HttpServer::Start() {
  const HttpServerOptions& options = state_->options;
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError("--http-tls-cert and --http-tls-key must be given together");
  }
  const bool tls = !options.tls_cert.empty();
  if (tls) RETURN_IF_ERROR(LoadTls(*state_));
  if (!options.api_key_file.empty()) RETURN_IF_ERROR(LoadKeys(*state_));
  auto threads = std::make_unique<ServerThreads>(*state_);
  if (tls) {
    signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL.
    threads->watcher().Watch(
        {options.tls_cert, options.tls_key}, [this] { return LoadTls(*state_); },
        Report(*state_, "certificate and key"));
  }
  if (!options.api_key_file.empty()) {
    threads->watcher().Watch(
        {options.api_key_file}, [this] { return LoadKeys(*state_); }, Report(*state_, "API keys"));
  }
  RaiseDescriptorLimit(*state_);
  RETURN_IF_ERROR(threads->listener().Open(options.listen));
  address_ = threads->listener().address();
  threads_ = std::move(threads);
  threads_->Start(options.reload_interval);
  if (!tls && !IsLoopback(address_)) {
    state_->Log(absl::StrCat("HTTP on ", address_,
                             " is plain text: put a gateway with TLS before it, or give "
                             "--http-tls-cert and --http-tls-key"));
  }
  return absl::OkStatus();
}

const std::string& HttpServer::address() const { return address_; }

void HttpServer::BeginDrain() {
  if (threads_ == nullptr || state_->draining.exchange(true)) return;
  threads_->StopListening();
}

bool HttpServer::Drain(absl::Duration deadline) {
  BeginDrain();
  return threads_ == nullptr || state_->gate.AwaitNone(deadline);
}

void HttpServer::Stop() {
  if (threads_ != nullptr) threads_->Stop();
}

void HttpServer::Log(const std::string& line) const { state_->Log(line); }

size_t HttpServer::num_connections() const { return state_->gate.count(); }

size_t HttpServer::body_bytes_held() const { return state_->body_bytes->held; }

uint64_t HttpServer::body_bytes_freed() const { return state_->body_bytes->freed; }

std::vector<RouteCount> HttpServer::Counts() const { return state_->routes.Counts(); }

}  // namespace regatta
