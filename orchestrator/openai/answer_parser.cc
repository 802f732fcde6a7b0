// Status, framing and body; see answer_parser.h.
#include "orchestrator/openai/answer_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/http/interim_answers.h"

namespace regatta {

namespace http = boost::beast::http;

namespace {

constexpr uint32_t kMaxHeaderBytes = 64 << 10;

absl::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

AnswerParser::Message::Message(std::string& body) : body_(body) {
  eager(true);
  header_limit(kMaxHeaderBytes);
  body_limit(std::numeric_limits<uint64_t>::max());  // Streams end when they end.
}

absl::Status AnswerParser::Feed(absl::string_view bytes) {
  const bool whole = partial_.empty();
  if (!whole) partial_.append(bytes.data(), bytes.size());
  absl::string_view input = whole ? bytes : absl::string_view(partial_);
  RETURN_IF_ERROR(Parse(input));
  while (done() && IsInterim(status())) {
    if (++interim_ > kMaxInterimAnswers) {
      return absl::InvalidArgumentError(
          absl::StrCat("the server sends more than ", kMaxInterimAnswers, " interim answers"));
    }
    message_.emplace(body_);
    RETURN_IF_ERROR(Parse(input));
  }
  if (done() && !input.empty()) {
    return absl::InvalidArgumentError("the server goes on behind the end of its answer");
  }
  // Headers, lines of chunks and trailers are understood as wholes only.
  if (input.size() > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the answer is no HTTP: a header or chunk line of over ", kMaxHeaderBytes, " bytes"));
  }
  partial_ = std::string(input);
  return absl::OkStatus();
}

absl::Status AnswerParser::Parse(absl::string_view& input) {
  boost::beast::error_code error;
  while (!input.empty() && !done()) {
    const size_t used = message_->put(boost::asio::buffer(input.data(), input.size()), error);
    input.remove_prefix(used);
    if (error == http::error::need_more) break;
    if (error) {
      return absl::InvalidArgumentError(absl::StrCat("the answer is no HTTP: ", error.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status AnswerParser::FeedEnd() {
  boost::beast::error_code error;
  if (message_->got_some() && !done()) message_->put_eof(error);
  if (done() && !error) return absl::OkStatus();
  return absl::UnavailableError("the server closed the connection within its answer");
}

void AnswerParser::Message::on_response_impl(int code, Text, int, Error&) { status_ = code; }

void AnswerParser::Message::on_field_impl(http::field name, Text, Text value, Error&) {
  if (name == http::field::content_type) {
    event_stream_ = absl::StartsWithIgnoreCase(View(value), "text/event-stream");
  }
}

size_t AnswerParser::Message::on_body_impl(Text bytes, Error&) {
  body_.append(bytes.data(), bytes.size());
  return bytes.size();
}

size_t AnswerParser::Message::on_chunk_body_impl(uint64_t, Text bytes, Error&) {
  body_.append(bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace regatta
