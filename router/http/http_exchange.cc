// Exchanges of a connection; see http_exchange.h.
#include "router/http/http_exchange.h"

namespace regatta {

void HttpExchange::Notify() {
  if (std::exchange(notified_, true)) return;
  mailbox_->Put(std::static_pointer_cast<HttpExchange>(shared_from_this()));
}

void HttpExchange::Reply(unsigned status, HttpHeaders headers, std::string body) {
  std::function<void()> dropped;  // Destroyed without the lock: it may hold the last of much.
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kComplete;
  answer_ = HttpAnswer{status, std::move(headers), std::move(body)};
  const size_t bytes = answer_->body.size();
  if (bytes > limits_.large_answer_bytes && !bodies_.Grow(bytes, limits_.max_bodies_bytes)) {
    answer_ = ErrorAnswer(503, "too many answers wait for their clients");
  }
  dropped.swap(gone_);
  Notify();
}

void HttpExchange::StartEvents(HttpHeaders headers) {
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kStreaming;
  streaming_ = true;
  answer_ = HttpAnswer{200, std::move(headers), ""};
  Notify();
}

bool HttpExchange::SendEvents(std::string_view bytes) {
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kStreaming || too_slow_) return false;
  if (bytes.empty()) return true;
  const size_t gathered = events_.empty() ? 0 : events_.size() - kChunkGap;
  const size_t waiting = gathered + unsent_.load(std::memory_order_relaxed);
  if (waiting > 0 && waiting + bytes.size() > limits_.max_stream_bytes) {
    too_slow_ = true;
  } else {
    if (gathered == 0) events_.resize(kChunkGap);
    events_.append(bytes);
  }
  Notify();
  return !too_slow_;
}

void HttpExchange::EndEvents() {
  std::function<void()> dropped;
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kStreaming || too_slow_) return;
  phase_ = Phase::kComplete;
  dropped.swap(gone_);
  Notify();
}

void HttpExchange::OnGone(std::function<void()> gone) {
  absl::MutexLock lock(&mutex_);
  if (phase_ == Phase::kGone) {
    tasks_.push_back(std::move(gone));
    Notify();
  } else if (phase_ != Phase::kComplete) {
    gone_ = std::move(gone);
  }
}

void HttpExchange::Post(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
  Notify();
}

void HttpExchange::Begin(ExchangeOwner& owner, const HttpHandler& handler) {
  owner_ = &owner;
  {
    absl::MutexLock lock(&mutex_);
    notified_ = true;  // What the handler does at once needs no mailbox.
  }
  handler(shared_from_this());
  Serve();
}

void HttpExchange::Serve() {
  std::vector<std::function<void()>> tasks;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      tasks.clear();
      if (tasks_.empty()) {
        notified_ = false;
        break;
      }
      tasks.swap(tasks_);
    }
    for (const auto& task : tasks) task();
  }
  if (owner_ != nullptr) owner_->OnExchangeReady();
}

HttpExchange::Taken HttpExchange::Take(std::string& events) {
  absl::MutexLock lock(&mutex_);
  Taken taken{std::move(answer_), streaming_, phase_ == Phase::kComplete};
  answer_.reset();
  events_.swap(events);
  SetUnsent(events.empty() ? 0 : events.size() - kChunkGap);
  return taken;
}

void HttpExchange::Leave() {
  owner_ = nullptr;
  std::function<void()> gone;
  {
    absl::MutexLock lock(&mutex_);
    if (phase_ == Phase::kComplete) return;
    phase_ = Phase::kGone;
    gone.swap(gone_);
  }
  if (gone) gone();
}

}  // namespace regatta
