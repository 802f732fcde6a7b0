// AnswerParser: the bytes of one HTTP/1.x answer, after the grammar of Boost.Beast.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace regatta {

class AnswerParser {
 public:
  AnswerParser() { message_.emplace(body_); }

  // What the bytes bring of the body, without framing, is appended to body(). Interim answers (1xx)
  // are passed over. INVALID_ARGUMENT when this is no HTTP, or goes on behind its end.
  absl::Status Feed(absl::string_view bytes);
  // The connection was closed. UNAVAILABLE when the answer is not complete.
  absl::Status FeedEnd();

  bool started() const { return interim_ > 0 || message_->got_some(); }
  bool done() const { return message_->is_done(); }
  unsigned status() const { return message_->status(); }
  bool is_event_stream() const { return message_->is_event_stream(); }
  bool keep_alive() const { return message_->keep_alive(); }
  std::string& body() { return body_; }  // to be emptied by the owner

 private:
  // One message of the connection.
  class Message final : public boost::beast::http::basic_parser<false> {
   public:
    explicit Message(std::string& body);
    unsigned status() const { return status_; }
    bool is_event_stream() const { return event_stream_; }

   private:
    using Text = boost::beast::string_view;
    using Error = boost::beast::error_code;

    void on_request_impl(boost::beast::http::verb, Text, Text, int, Error&) override {}
    void on_response_impl(int code, Text reason, int version, Error& error) override;
    void on_field_impl(boost::beast::http::field name, Text, Text value, Error& error) override;
    void on_trailer_field_impl(boost::beast::http::field, Text, Text, Error&) {}
    void on_header_impl(Error&) override {}
    void on_body_init_impl(const boost::optional<uint64_t>&, Error&) override {}
    size_t on_body_impl(Text bytes, Error& error) override;
    void on_chunk_header_impl(uint64_t, Text, Error&) override {}
    size_t on_chunk_body_impl(uint64_t, Text bytes, Error& error) override;
    void on_finish_impl(Error&) override {}

    std::string& body_;
    unsigned status_ = 0;
    bool event_stream_ = false;
  };

  // Takes what it can from the front of `input`.
  absl::Status Parse(absl::string_view& input);

  std::string body_;
  std::string partial_;  // seen, but not understood without what follows
  int interim_ = 0;      // answers passed over
  std::optional<Message> message_;
};

}  // namespace regatta
