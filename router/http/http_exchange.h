// HttpExchange: where handlers, on any thread, and the connection's thread meet. Handlers append;
// the connection takes what has gathered.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "router/http/mailbox.h"
#include "router/http/response.h"
#include "router/http/server_state.h"

namespace regatta {

// Whose request it is. Called on its thread.
class ExchangeOwner {
 public:
  virtual ~ExchangeOwner() = default;
  // There may be something to take, or the client may be too slow.
  virtual void OnExchangeReady() = 0;
};

class HttpExchange final : public Exchange {
 public:
  // What the connection must write next, in this order.
  struct Taken {
    std::optional<HttpAnswer> answer;  // with a body, unless a stream begins
    bool streaming = false;            // events follow, or have been following
    bool ended = false;                // nothing comes after these events
  };

  HttpExchange(HttpRequest request, BodyShare bodies, std::shared_ptr<Mailbox> mailbox,
               const HttpLimits& limits)
      : request_(std::move(request)),
        limits_(limits),
        mailbox_(std::move(mailbox)),
        bodies_(std::move(bodies)) {}

  const HttpRequest& request() const override { return request_; }
  void Reply(unsigned status, HttpHeaders headers, std::string body) override;
  void StartEvents(HttpHeaders headers) override;
  bool SendEvents(std::string_view bytes) override;
  void EndEvents() override;
  void OnGone(std::function<void()> gone) override;
  void Post(std::function<void()> task) override;

  // The rest is for the connection's thread.

  // Calls `handler`, and `owner` whenever there is something to do, until Leave.
  void Begin(ExchangeOwner& owner, const HttpHandler& handler);
  // Runs tasks and tells the owner; from the mailbox.
  void Serve();
  // Events are left in `events`, which is empty, behind kChunkGap free bytes.
  Taken Take(std::string& events);
  // Of what was taken last, this much is not written yet.
  void SetUnsent(size_t bytes) { unsent_.store(bytes, std::memory_order_relaxed); }
  // More waits for the client than may.
  bool too_slow() const { return too_slow_; }
  // The owner is about to go. With the answer incomplete, the client counts as gone.
  void Leave();

 private:
  enum class Phase { kOpen, kStreaming, kComplete, kGone };

  void Notify() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const HttpRequest request_;
  const HttpLimits limits_;  // a copy, as the server may end before
  const std::shared_ptr<Mailbox> mailbox_;
  ExchangeOwner* owner_ = nullptr;  // of its thread
  std::atomic<size_t> unsent_ = 0;
  std::atomic<bool> too_slow_ = false;  // written with the lock

  mutable absl::Mutex mutex_;
  BodyShare bodies_ ABSL_GUARDED_BY(mutex_);  // the request's, and a large answer
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kOpen;
  std::optional<HttpAnswer> answer_ ABSL_GUARDED_BY(mutex_);  // not taken yet
  bool streaming_ ABSL_GUARDED_BY(mutex_) = false;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;  // in the mailbox, or being served
  std::string events_ ABSL_GUARDED_BY(mutex_);     // behind kChunkGap free bytes, when not empty
  std::vector<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> gone_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace regatta
