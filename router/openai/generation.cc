// Queueing, cancelling and sending of one API request; see generation.h.
#include "router/openai/generation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "router/openai/error.h"

namespace regatta {

void Generation::Start(std::shared_ptr<const OpenAiContext> context,
                       std::shared_ptr<Exchange> exchange, PreparedRequest request) {
  auto generation = std::make_shared<Generation>(std::move(context), exchange, std::move(request));
  // Weak: while choices run the cluster holds them, and afterwards there is nothing to cancel.
  exchange->OnGone([weak = std::weak_ptr<Generation>(generation)] {
    if (const std::shared_ptr<Generation> live = weak.lock()) live->Gone();
  });
  generation->Submit();
}

Generation::Generation(std::shared_ptr<const OpenAiContext> context,
                       std::shared_ptr<Exchange> exchange, PreparedRequest request)
    : context_(std::move(context)),
      stream_(request.stream),
      num_choices_(request.choices.size()),
      request_(std::move(request)),
      exchange_(std::move(exchange)) {}

void Generation::Submit() {
  for (size_t i = 0; i < num_choices_; ++i) {
    const absl::StatusOr<uint64_t> id =
        context_->sink.Submit(request_.choices[i], i, shared_from_this());
    request_.choices[i] = GenerateRequest();  // Its prompt is the cluster's now.
    if (!id.ok()) {
      Fail(i, id.status());
      return Flush();
    }
    absl::MutexLock lock(&mutex_);
    ids_.push_back(*id);
    if (exchange_ != nullptr) continue;
    context_->sink.Cancel(*id);  // Over meanwhile.
    return;
  }
}

void Generation::Push(uint64_t tag, TokenDelta delta) {
  {
    absl::MutexLock lock(&mutex_);
    if (exchange_ == nullptr || overrun_) return;
    if (pending_.size() < kMaxPendingPerChoice * num_choices_) {
      pending_.push_back({.index = static_cast<uint32_t>(tag), .news = std::move(delta)});
      return;
    }
    overrun_ = true;
  }
  CancelAll();
  Fail(tag, absl::InternalError(absl::StrCat("the connection's thread stands still: ",
                                             kMaxPendingPerChoice, " deltas wait for it")));
}

void Generation::Fail(uint64_t tag, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (exchange_ == nullptr) return;
  pending_.push_back({.index = static_cast<uint32_t>(tag), .news = status});
}

void Generation::Flush() {
  std::shared_ptr<Exchange> exchange;
  {
    absl::MutexLock lock(&mutex_);
    if (exchange_ == nullptr || posted_ || pending_.empty()) return;
    posted_ = true;
    exchange = exchange_;
  }
  exchange->Post([self = shared_from_this()] { self->Drain(); });
}

void Generation::Gone() { Stop(); }

void Generation::Stop() {
  std::shared_ptr<Exchange> exchange;  // Let go of outside the lock.
  {
    absl::MutexLock lock(&mutex_);
    exchange = std::exchange(exchange_, nullptr);
    pending_.clear();
  }
  CancelAll();
}

void Generation::CancelAll() {
  std::vector<uint64_t> ids;
  {
    absl::MutexLock lock(&mutex_);
    ids.swap(ids_);
  }
  for (const uint64_t id : ids) context_->sink.Cancel(id);
}

void Generation::Drain() {
  std::vector<Item> items;
  std::shared_ptr<Exchange> exchange;
  {
    absl::MutexLock lock(&mutex_);
    posted_ = false;
    items.swap(pending_);
    exchange = exchange_;
  }
  if (exchange == nullptr) return;
  for (const Item& item : items) {
    if (!Take(item)) return;
  }
  if (!out_.empty()) Send(*exchange);
  if (ended_ == num_choices_) Complete(*exchange);
}

// False when the request has broken.
bool Generation::Take(const Item& item) {
  if (const auto* status = std::get_if<absl::Status>(&item.news)) {
    Break(*status);
    return false;
  }
  const auto& delta = std::get<TokenDelta>(item.news);
  if (delta.finish_reason() == FINISH_REASON_ERROR) {
    Break(absl::InternalError(delta.error()));
    return false;
  }
  if (delta.finish_reason() == FINISH_REASON_CANCELLED) {
    Break(absl::UnavailableError("the cluster cancelled the request"));
    return false;
  }
  request_.writer->Take(item.index, delta, out_);
  if (delta.finish_reason() != FINISH_REASON_NONE) ++ended_;
  return true;
}

void Generation::Send(Exchange& exchange) {
  if (!std::exchange(started_, true)) exchange.StartEvents({});
  const bool kept_up = exchange.SendEvents(out_);
  out_.clear();
  if (!kept_up) Stop();
}

void Generation::Complete(Exchange& exchange) {
  request_.writer->End(out_);
  if (stream_) {
    Send(exchange);
    exchange.EndEvents();
  } else {
    exchange.Reply(200, JsonHeaders(), std::move(out_));
  }
  absl::MutexLock lock(&mutex_);
  ids_.clear();  // Ended by themselves.
  exchange_ = nullptr;
}

void Generation::Break(const absl::Status& failure) {
  const absl::Status status = NameSchemaPlace(failure, request_.schema_places);
  std::shared_ptr<Exchange> exchange;
  {
    absl::MutexLock lock(&mutex_);
    exchange = exchange_;
  }
  Stop();
  if (exchange == nullptr) return;
  if (stream_ && (started_ || !out_.empty())) {
    if (!std::exchange(started_, true)) exchange->StartEvents({});
    BreakEvents(*exchange, std::move(out_), status, *context_);
  } else {
    ReplyError(*exchange, status, *context_);
  }
}

}  // namespace regatta
