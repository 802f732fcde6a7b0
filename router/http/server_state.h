// ServerState: what all connections of an HttpServer share.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/edge/api_keys.h"
#include "router/http/connection_gate.h"
#include "router/http/http_server.h"
#include "router/http/routes.h"

namespace regatta {

// A value that one thread exchanges while others use it.
template <typename T>
class Exchangeable {
 public:
  std::shared_ptr<T> Get() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return value_;
  }
  void Set(std::shared_ptr<T> value) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    value_.swap(value);
  }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<T> value_ ABSL_GUARDED_BY(mutex_);
};

// Bytes of request bodies, and of large answers, over all connections. May outlive the server.
struct BodyBytes {
  std::atomic<size_t> held = 0;     // in memory
  std::atomic<uint64_t> freed = 0;  // since the start
};

// What one request holds of them.
class BodyShare {
 public:
  explicit BodyShare(std::shared_ptr<BodyBytes> total) : total_(std::move(total)) {}
  BodyShare(BodyShare&& other) noexcept
      : total_(std::move(other.total_)), held_(std::exchange(other.held_, 0)) {}
  BodyShare& operator=(BodyShare&&) = delete;
  ~BodyShare() {
    if (held_ == 0) return;
    total_->held.fetch_sub(held_);
    total_->freed.fetch_add(held_);
  }
  // Holds `more` bytes; false when that makes the total more than `limit`.
  bool Grow(size_t more, size_t limit) {
    held_ += more;
    return more == 0 || total_->held.fetch_add(more) + more <= limit;
  }
  // The same, for `bytes` in all.
  bool GrowTo(size_t bytes, size_t limit) { return Grow(bytes - held_, limit); }

 private:
  std::shared_ptr<BodyBytes> total_;
  size_t held_ = 0;
};

class ServerState {
 public:
  explicit ServerState(HttpServerOptions given)
      : options(std::move(given)),
        gate(options.limits.max_connections, options.limits.max_connections_per_peer) {}

  void Log(const std::string& line) const {
    if (options.log) options.log(line);
  }

  const HttpServerOptions options;
  Routes routes;  // complete before the first connection
  ConnectionGate gate;
  Exchangeable<const ApiKeys> keys;  // null: none are needed
  Exchangeable<SSL_CTX> tls;         // null: plain text
  const std::shared_ptr<BodyBytes> body_bytes = std::make_shared<BodyBytes>();
  std::atomic<bool> draining = false;  // answers end their connections
};

}  // namespace regatta
