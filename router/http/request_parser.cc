// Parsing of requests; see request_parser.h.
#include "router/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/string_views.h"

namespace regatta {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::error_code;
using boost::optional;

// Bodies are not believed to be as long as they say before they are there.
constexpr uint64_t kMaxReserve = 64 << 10;

std::string ToString(beast::string_view text) { return {text.data(), text.size()}; }

bool HasFold(std::string_view lines) {
  return absl::StrContains(View(lines), "\n ") || absl::StrContains(View(lines), "\n\t");
}

struct Fault {
  unsigned status = 0;
  std::string message;
};

}  // namespace

class RequestParser::Impl final : public http::basic_parser<true> {
 public:
  explicit Impl(const HttpLimits& limits) : limits_(limits) {
    header_limit(2 * limits.max_header_bytes);  // Ours counts exactly and strikes first.
    body_limit(limits.max_body_bytes);
  }

  Step Feed(std::string_view& input) {
    while (!is_done()) {
      const bool was_header_done = is_header_done();
      const size_t body_bytes = request_.body.size();
      error_code error;
      const size_t used = put(boost::asio::const_buffer(input.data(), input.size()), error);
      // A field goes by whole, with the lines that it is folded over.
      if (!was_header_done && HasFold(input.substr(0, used))) Fail(400, "a field is folded");
      input.remove_prefix(used);
      if (!was_header_done) header_bytes_ += used;
      // Beast's own limit is above ours: CheckSizes says which one it is.
      const bool needs_more = error == http::error::need_more || error == http::error::header_limit;
      if (fault_.status == 0 && error && !needs_more) Explain(error);
      const bool is_framing = was_header_done && request_.body.size() == body_bytes;
      if (fault_.status == 0) CheckSizes(needs_more ? input.size() : is_framing ? used : 0);
      if (fault_.status != 0) return Step::kError;
      if (!was_header_done && is_header_done()) return FinishHeader();
      if (needs_more || (input.empty() && !is_done())) return Step::kNeedMore;
    }
    return Step::kDone;
  }

  Fault fault_;
  HttpRequest request_;
  std::string target_;
  bool http10_ = false;
  bool expects_continue_ = false;

 private:
  void Fail(unsigned status, std::string message) { fault_ = {status, std::move(message)}; }

  // `block`: bytes of an incomplete line or block. Behind the header that is a line of the chunked
  // coding, or its trailers; these count when they are complete as well, however they were cut.
  void CheckSizes(size_t block) {
    const size_t bytes = block + (is_header_done() && block > 0 ? 0 : header_bytes_);
    if (bytes <= limits_.max_header_bytes) return;
    if (target_.empty()) return FailTarget();
    Fail(431, absl::StrCat("the header has more than ", limits_.max_header_bytes, " bytes"));
  }

  void FailTarget() {
    Fail(414,
         absl::StrCat("the request target has more than ", limits_.max_target_bytes, " bytes"));
  }

  void Explain(const error_code& error) {
    if (error == http::error::body_limit) {
      return Fail(413, absl::StrCat("the body has more than ", limits_.max_body_bytes, " bytes"));
    }
    if (error == http::error::bad_version) {
      return Fail(400, "the version must be HTTP/1.1 or HTTP/1.0");
    }
    Fail(400, absl::StrCat("malformed request: ", error.message()));
  }

  // What Beast lets pass and two servers could read in two ways.
  Step FinishHeader() {
    size_t hosts = 0, keys = 0, lengths = 0, codings = 0;
    for (const auto& [name, value] : request_.headers) {
      hosts += name == "host";
      keys += name == "authorization";
      // Beast takes several that are equal, as RFC 9110, 8.6 allows.
      lengths += name == "content-length" ? 1 + absl::StrContains(value, ",") : 0;
      if (name != "transfer-encoding") continue;
      ++codings;
      if (!absl::EqualsIgnoreCase(value, "chunked")) {
        Fail(501, "the only transfer-encoding known is chunked");
        return Step::kError;
      }
    }
    if (http10_ && codings > 0) Fail(400, "HTTP/1.0 has no transfer-encoding");
    if (hosts > 1 || (hosts == 0 && !http10_)) Fail(400, "there must be one host header");
    if (keys > 1) Fail(400, "there must be at most one authorization header");
    if (lengths > 1) Fail(400, "there must be one content-length, of one value");
    expects_continue_ =
        !http10_ && absl::EqualsIgnoreCase(View(request_.Header("expect")), "100-continue");
    return fault_.status == 0 ? Step::kHeader : Step::kError;
  }

  void on_request_impl(http::verb, beast::string_view method, beast::string_view target,
                       int version, error_code& error) override {
    request_.method = ToString(method);
    target_ = ToString(target);
    http10_ = version == 10;
    if (target.size() > limits_.max_target_bytes) {
      FailTarget();
      error = http::error::bad_target;
    }
  }

  void on_field_impl(http::field, beast::string_view name, beast::string_view value,
                     error_code& error) override {
    if (is_header_done()) return;  // A trailer; nobody asks for any.
    if (request_.headers.size() == limits_.max_headers) {
      Fail(431, absl::StrCat("the header has more than ", limits_.max_headers, " fields"));
      error = http::error::bad_field;
      return;
    }
    request_.headers.emplace_back(ToString(name), ToString(value));
    absl::AsciiStrToLower(&request_.headers.back().first);
  }

  void on_body_init_impl(const optional<uint64_t>& length, error_code&) override {
    if (length) request_.body.reserve(std::min(*length, kMaxReserve));
  }
  size_t on_body_impl(beast::string_view bytes, error_code&) override {
    request_.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  size_t on_chunk_body_impl(uint64_t, beast::string_view bytes, error_code&) override {
    request_.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  // Newer releases tell trailers from fields.
  virtual void on_trailer_field_impl(http::field, beast::string_view, beast::string_view,
                                     error_code&) {}
  void on_chunk_header_impl(uint64_t, beast::string_view, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, beast::string_view, int, error_code&) override {}

  const HttpLimits& limits_;
  size_t header_bytes_ = 0;  // of the header, as far as it is understood
};

RequestParser::RequestParser(const HttpLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::Feed(std::string_view& input) { return impl_->Feed(input); }
unsigned RequestParser::error_status() const { return impl_->fault_.status; }
const std::string& RequestParser::error_message() const { return impl_->fault_.message; }
HttpRequest& RequestParser::request() { return impl_->request_; }
const std::string& RequestParser::target() const { return impl_->target_; }
bool RequestParser::http10() const { return impl_->http10_; }
bool RequestParser::keep_alive() const { return impl_->keep_alive(); }
bool RequestParser::has_body() const { return !impl_->is_done(); }
bool RequestParser::expects_continue() const { return impl_->expects_continue_; }

}  // namespace regatta
