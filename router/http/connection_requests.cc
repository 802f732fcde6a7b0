// Requests and answers of a connection; see connection.h. How the bytes come and go is in
// connection.cc.
#include <algorithm>
#include <utility>

#include "router/http/connection.h"

namespace regatta {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kComment = ": keep-alive\n\n";
constexpr size_t kKeptInputBytes = 4 << 10;

void AddEventHeaders(HttpHeaders& headers) {
  headers.emplace_back("content-type", "text/event-stream; charset=utf-8");
  headers.emplace_back("cache-control", "no-cache");
  headers.emplace_back("x-accel-buffering", "no");  // Some proxies gather answers otherwise.
}

}  // namespace

void Connection::Parse() {
  parsing_ = true;
  while (phase_ == Phase::kRequest && input_used_ < input_.size()) {
    if (!ParseOne()) break;
  }
  parsing_ = false;
  input_.erase(0, input_used_);
  input_used_ = 0;
  if (input_.empty() && input_.capacity() > kKeptInputBytes) std::string().swap(input_);
}

// False when more must be read first.
bool Connection::ParseOne() {
  std::string_view unread = std::string_view(input_).substr(input_used_);
  if (parser_ == nullptr) {
    if (unread == "\r") return false;
    if (unread.substr(0, 2) == "\r\n") {  // Empty lines before a request (RFC 9112, 2.2).
      input_used_ += 2;
      return true;
    }
    parser_ = std::make_unique<RequestParser>(state_.options.limits);
    SetDeadline(state_.options.limits.header_read);
  }
  const RequestParser::Step step = parser_->Feed(unread);
  input_used_ = input_.size() - unread.size();
  switch (step) {
    case RequestParser::Step::kNeedMore:
      if (handler_ != nullptr) OnBodyBytes();
      return false;
    case RequestParser::Step::kHeader:
      OnHeader();
      break;
    case RequestParser::Step::kDone:
      OnRequest();
      break;
    case RequestParser::Step::kError:
      Refuse(parser_->error_status(), std::string(parser_->error_message()));
  }
  return true;
}

void Connection::OnHeader() {
  HttpRequest& request = parser_->request();
  request.peer = peer_;
  const RequestVerdict verdict = CheckRequest(state_, *parser_, thread_.NewRequestId());
  request_id_ = request.id;
  counts_ = verdict.counts;
  cors_ = CorsLines(state_.options.cors_origin, request);
  http10_ = parser_->http10();
  is_head_ = request.method == "HEAD";
  keep_alive_ = parser_->keep_alive();
  if (verdict.answer) {
    if (parser_->has_body()) keep_alive_ = false;  // Nobody reads it.
    return Answer(*verdict.answer);
  }
  handler_ = verdict.handler;
  body_share_.emplace(state_.body_bytes);
  if (!parser_->has_body()) return OnRequest();
  body_start_ns_ = thread_.NowNs();
  SetDeadline(state_.options.limits.body_idle);
  if (parser_->expects_continue() && input_used_ == input_.size()) {
    output_ += kContinue;
    Write();
  }
}

void Connection::OnBodyBytes() {
  const HttpLimits& limits = state_.options.limits;
  const size_t bytes = parser_->request().body.size();
  if (!body_share_->GrowTo(bytes, limits.max_bodies_bytes)) {
    return Refuse(503, "too many requests are being read");
  }
  SetDeadline(limits.body_idle);
  const absl::Duration at_least =
      limits.body_idle + absl::Seconds(1.0 * bytes / std::max<size_t>(1, limits.min_body_rate));
  deadline_ns_ = std::min(deadline_ns_, body_start_ns_ + absl::ToInt64Nanoseconds(at_least));
}

void Connection::OnRequest() {
  const HttpLimits& limits = state_.options.limits;
  if (!body_share_->GrowTo(parser_->request().body.size(), limits.max_bodies_bytes)) {
    return Refuse(503, "too many requests are being read");
  }
  phase_ = Phase::kAnswer;
  deadline_ns_ = kNever;
  answer_ends_ = false;
  streaming_ = false;
  exchange_ = std::make_shared<HttpExchange>(std::move(parser_->request()), *std::move(body_share_),
                                             thread_.mailbox(), limits);
  parser_.reset();
  body_share_.reset();
  const auto exchange = exchange_;  // It may be over before its handler returns.
  exchange->Begin(*this, *std::exchange(handler_, nullptr));
}

void Connection::OnDeadline(int64_t now_ns) {
  if (deadline_ns_ > now_ns) return;
  switch (phase_) {
    case Phase::kHandshake:
    case Phase::kLinger:
      return Close(false);
    case Phase::kRequest:
      if (parser_ == nullptr) return Close(false);
      return Refuse(408, handler_ == nullptr ? "the header did not come in time"
                                             : "the body did not come in time");
    case Phase::kAnswer:
      return output_.empty() ? KeepAlive() : Close(true);
    case Phase::kClosed:
      return;
  }
}

// The connection cannot go on after this answer.
void Connection::Refuse(unsigned status, absl::string_view message) {
  keep_alive_ = false;
  Answer(ErrorAnswer(status, message));
}

void Connection::Answer(const HttpAnswer& answer) {
  phase_ = Phase::kAnswer;
  answer_ends_ = true;
  streaming_ = false;
  AddHead(answer, output_);
  if (!is_head_) output_ += answer.body;
  parser_.reset();
  handler_ = nullptr;
  body_share_.reset();
  OnExchangeReady();
}

// Every answer begins here, and is counted.
void Connection::AddHead(const HttpAnswer& answer, std::string& out) {
  StatusCounts& counts = counts_ != nullptr ? *counts_ : state_.routes.unknown();
  counts.Count(answer.status);
  AppendHead(answer, Context(), out);
}

HeadContext Connection::Context() {
  if (request_id_.empty()) request_id_ = thread_.NewRequestId();
  if (state_.draining || (streaming_ && http10_)) keep_alive_ = false;
  return {.date = thread_.Date(),
          .request_id = request_id_,
          .cors = cors_,
          .close = !keep_alive_,
          .http10 = http10_,
          .chunked = streaming_ && !http10_,
          .streamed = streaming_};
}

void Connection::OnExchangeReady() {
  while (phase_ == Phase::kAnswer) {
    if (exchange_ != nullptr && exchange_->too_slow()) return Close(true);
    if (!Write()) return;
    if (answer_ends_) return FinishAnswer();
    HttpExchange::Taken taken = exchange_->Take(output_);
    if (!taken.answer && output_.empty() && !taken.ended) {
      deadline_ns_ = kNever;
      if (streaming_) SetDeadline(state_.options.limits.event_silence);
      return;
    }
    Frame(std::move(taken));
  }
}

// Makes what was taken, of which output_ has the events, the bytes to be sent.
void Connection::Frame(HttpExchange::Taken taken) {
  streaming_ = taken.streaming;
  answer_ends_ = taken.ended;
  const bool chunked = streaming_ && !http10_;
  if (!output_.empty()) output_used_ = chunked ? FrameChunk(output_) : kChunkGap;
  if (answer_ends_ && chunked) output_.append(kLastChunk.data(), kLastChunk.size());
  if (is_head_) output_used_ = output_.size();
  if (!taken.answer) return;
  HttpAnswer& answer = *taken.answer;
  if (streaming_) AddEventHeaders(answer.headers);
  std::string bytes;
  AddHead(answer, bytes);
  if (!is_head_) bytes += answer.body;
  bytes.append(output_, output_used_);
  output_.swap(bytes);
  output_used_ = 0;
}

void Connection::KeepAlive() {
  if (!is_head_) {
    output_.assign(kChunkGap, ' ');
    output_ += kComment;
    output_used_ = http10_ ? kChunkGap : FrameChunk(output_);
  }
  OnExchangeReady();
}

void Connection::FinishAnswer() {
  if (const auto exchange = std::move(exchange_)) exchange->Leave();
  if (!keep_alive_ || state_.draining) return Linger();
  phase_ = Phase::kRequest;
  request_id_.clear();
  counts_ = nullptr;
  cors_.clear();
  is_head_ = false;
  http10_ = false;
  SetDeadline(state_.options.limits.keep_alive_idle);
  if (parsing_) return;  // Parse goes on with what is there.
  Parse();
  Read();
}

}  // namespace regatta
