// A state machine per request; see openai_target.h.
#include "orchestrator/openai/openai_target.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/status_macros.h"
#include "orchestrator/http/http_client.h"
#include "orchestrator/http/tls_trust.h"
#include "orchestrator/openai/answer_parser.h"
#include "orchestrator/openai/completion_chunk.h"
#include "orchestrator/openai/event_reader.h"

namespace regatta {
namespace {

// Servers close idle connections, Uvicorn after 5 s.
constexpr int64_t kMaxIdleNs = 3'000'000'000;
constexpr absl::string_view kDone = "[DONE]";
constexpr int kMaxHandlersPerPoll = 1024;
constexpr int64_t kLongestPollNs = 2'000'000;

std::string RequestBytes(const OpenAiServer& server, const std::string& body) {
  const std::string key =
      server.api_key.empty() ? "" : absl::StrCat("Authorization: Bearer ", server.api_key, "\r\n");
  return absl::StrCat("POST ", ApiPath(server.url, PathOf(server.body.endpoint)),
                      " HTTP/1.1\r\nHost: ", server.url.Authority(),
                      "\r\nContent-Type: application/json\r\n", "Accept: text/event-stream\r\n",
                      key, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

}  // namespace

// Connect or reuse, write, read until the answer is complete.
class OpenAiTarget::Call final : public std::enable_shared_from_this<Call> {
 public:
  Call(OpenAiTarget& target, uint64_t tag, std::string bytes)
      : target_(target), tag_(tag), bytes_(std::move(bytes)) {}

  void Begin() {
    wire_ = target_.TakeIdle();
    reused_ = wire_ != nullptr;
    if (reused_) return Send();
    OpenNew();
  }

  void Cancel() { End(absl::CancelledError("cancelled by the client")); }

 private:
  void OpenNew() {
    reused_ = false;
    wire_ = std::make_unique<Wire>(target_.io_, target_.peer_);
    wire_->Open(Guarded([this] { Send(); }));
  }

  void Send() {
    wire_->Write(bytes_, Guarded([this] { Read(); }));
  }

  void Read() {
    wire_->Read([self = shared_from_this()](Wire::Error error, absl::string_view bytes,
                                            int64_t arrived_ns) {
      if (self->over_) return;
      if (error) return self->Lost(error);
      self->arrived_ns_ = arrived_ns;
      self->Take(bytes);
    });
  }

  // Ends the call when the operation failed; nothing happens once it is over.
  template <typename Next>
  Wire::Done Guarded(Next next) {
    return [self = shared_from_this(), next](Wire::Error error) {
      if (self->over_) return;
      if (error) return self->Lost(error);
      next();
    };
  }

  void Lost(Wire::Error error) {
    // An idle connection that the server was just closing: nothing has been answered on it.
    if (reused_ && !parser_.started()) return OpenNew();
    const bool closed = error == boost::asio::error::eof;
    if (closed && parser_.FeedEnd().ok()) return Complete();
    End(absl::UnavailableError(closed ? "the server closed the connection before its answer ended"
                                      : absl::StrCat("connection: ", error.message())));
  }

  void Take(absl::string_view bytes) {
    absl::Status status = parser_.Feed(bytes);
    if (status.ok()) status = TakeBody();
    if (!status.ok()) return End(std::move(status));
    if (over_) return;  // Cancelled by who got the tokens.
    if (parser_.done()) return Complete();
    Read();
  }

  // Events as they come; anything else is kept until it is whole.
  absl::Status TakeBody() {
    std::string& body = parser_.body();
    if (parser_.status() != 200 || !parser_.is_event_stream()) {
      if (body.size() <= EventReader::kMaxEventBytes) return absl::OkStatus();
      return absl::ResourceExhaustedError("the server's answer is over 16 MiB");
    }
    absl::Status status;
    const bool fits = events_.Feed(body, [&](absl::string_view data) {
      if (status.ok()) status = TakeEvent(data);
    });
    body.clear();
    if (!fits) return absl::ResourceExhaustedError("the server sent an event of over 16 MiB");
    return status;
  }

  absl::Status TakeEvent(absl::string_view data) {
    if (data == kDone) {
      done_ = true;
      return absl::OkStatus();
    }
    const absl::StatusOr<CompletionChunk> chunk = ParseCompletionChunk(data);
    if (!chunk.ok()) return chunk.status();
    TakeChunk(*chunk);
    return absl::OkStatus();
  }

  void TakeChunk(const CompletionChunk& chunk) {
    if (chunk.finish != FINISH_REASON_NONE) finish_ = chunk.finish;
    if (chunk.usage) usage_ = chunk.usage;
    // Events that bring no count of their own count as one token when they bring text.
    uint64_t total = uint64_t{count_} + !chunk.text.empty();
    if (chunk.usage) total = std::max(count_, chunk.usage->output_tokens());
    total = std::min<uint64_t>(total, std::numeric_limits<uint32_t>::max());
    if (total == count_ && chunk.text.empty()) return;
    TokenDelta delta;
    delta.set_count(static_cast<uint32_t>(total - count_));
    delta.set_text(chunk.text);
    count_ = static_cast<uint32_t>(total);
    target_.events_->OnDelta(tag_, delta, arrived_ns_);
  }

  void Complete() {
    if (parser_.status() != 200) return End(StatusOfAnswer(parser_.status(), parser_.body()));
    if (!parser_.is_event_stream()) {
      const absl::StatusOr<CompletionChunk> whole = ParseCompletionChunk(parser_.body());
      if (!whole.ok()) return End(whole.status());
      TakeChunk(*whole);
    } else if (!done_ && finish_ == FINISH_REASON_NONE) {
      return End(absl::UnavailableError("the stream ended before the answer did"));
    }
    TokenDelta last;
    last.set_finish_reason(finish_ == FINISH_REASON_NONE ? FINISH_REASON_STOP : finish_);
    if (usage_) *last.mutable_usage() = *usage_;
    target_.events_->OnDelta(tag_, last, arrived_ns_);
    if (parser_.keep_alive()) {
      wire_->idle_since_ns = RealClock().NowNs();
      target_.idle_.push_back(std::move(wire_));
    }
    End(absl::OkStatus());
  }

  void End(absl::Status status) {
    if (std::exchange(over_, true)) return;
    if (wire_ != nullptr) wire_->Close();
    target_.End(tag_, std::move(status));
  }

  OpenAiTarget& target_;
  const uint64_t tag_;
  const std::string bytes_;
  std::unique_ptr<Wire> wire_;
  bool reused_ = false;
  bool over_ = false;
  AnswerParser parser_;
  EventReader events_;
  int64_t arrived_ns_ = 0;  // what is taken
  uint32_t count_ = 0;
  bool done_ = false;
  FinishReason finish_ = FINISH_REASON_NONE;
  std::optional<Usage> usage_;
};

absl::StatusOr<std::unique_ptr<OpenAiTarget>> OpenAiTarget::Make(OpenAiServer server,
                                                                 absl::Duration timeout) {
  std::unique_ptr<OpenAiTarget> target(new OpenAiTarget(std::move(server)));
  const HttpUrl& url = target->server_.url;
  ASSIGN_OR_RETURN(const std::optional<HttpUrl> proxy, ProxyFor(url));
  if (proxy.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "load goes to the server itself, not through a proxy: name ", url.host, " in NO_PROXY"));
  }
  Peer& peer = target->peer_;
  peer.host = url.host;
  Wire::Error error = boost::asio::error::timed_out;
  boost::asio::ip::tcp::resolver resolver(target->io_);
  resolver.async_resolve(url.host, absl::StrCat(url.port),
                         [&](Wire::Error result, const auto& endpoints) {
                           error = result;
                           peer.endpoints = endpoints;
                         });
  target->io_.run_one_for(absl::ToChronoNanoseconds(timeout));
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("--url: cannot resolve '", url.host, "': ", error.message()));
  }
  if (url.scheme == "https") {
    using boost::asio::ssl::context;
    peer.tls = std::make_unique<context>(context::tls_client);
    RETURN_IF_ERROR(SetTrust(*peer.tls, /*pinned_certificate=*/""));
  }
  return target;
}

OpenAiTarget::~OpenAiTarget() = default;

void OpenAiTarget::Start(uint64_t tag, const GenerateRequest& request) {
  absl::StatusOr<std::string> body = RequestBody(request, server_.body);
  auto call =
      std::make_shared<Call>(*this, tag, body.ok() ? RequestBytes(server_, *body) : std::string());
  const bool inserted = calls_.emplace(tag, call).second;
  CHECK(inserted) << "tag " << tag << " is in use";
  if (!body.ok()) return End(tag, body.status());
  call->Begin();
}

void OpenAiTarget::Cancel(uint64_t tag) {
  if (const auto found = calls_.find(tag); found != calls_.end()) {
    const std::shared_ptr<Call> call = found->second;
    call->Cancel();
  }
}

std::unique_ptr<Wire> OpenAiTarget::TakeIdle() {
  const int64_t now_ns = RealClock().NowNs();
  if (idle_.empty()) return nullptr;
  if (now_ns - idle_.back()->idle_since_ns > kMaxIdleNs) {  // The others have waited longer.
    idle_.clear();
    return nullptr;
  }
  std::unique_ptr<Wire> wire = std::move(idle_.back());
  idle_.pop_back();
  return wire;
}

void OpenAiTarget::End(uint64_t tag, absl::Status status) {
  ended_.push_back({tag, std::move(status)});
}

void OpenAiTarget::DeliverEnds() {
  for (const Ended& ended : std::exchange(ended_, {})) {
    calls_.erase(ended.tag);
    events_->OnEnd(ended.tag, ended.status, RealClock().NowNs());
  }
}

void OpenAiTarget::Poll(int64_t deadline_ns, TargetEvents& events) {
  events_ = &events;
  if (ended_.empty()) {
    const int64_t wait_ns = std::max<int64_t>(0, deadline_ns - RealClock().NowNs());
    io_.run_one_for(std::chrono::nanoseconds(wait_ns));
  }
  // Bounded, or a server that sends without pause would keep the caller from everything else.
  const RealClock clock;
  const int64_t until_ns = clock.NowNs() + kLongestPollNs;
  for (int i = 0; i < kMaxHandlersPerPoll && io_.poll_one() > 0; ++i) {
    if (clock.NowNs() > until_ns) break;
  }
  DeliverEnds();
  events_ = nullptr;
}

}  // namespace regatta
