// Heads, errors and chunks of answers; see response.h.
#include "router/http/response.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/http/error_body.h"

namespace regatta {
namespace {

std::string_view TypeOf(unsigned status) {
  if (status == 401) return "authentication_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

void AppendHeader(absl::string_view name, absl::string_view value, std::string& out) {
  absl::StrAppend(&out, name, ": ", value, "\r\n");
  if (std::none_of(value.begin(), value.end(), absl::ascii_iscntrl)) return;
  // A line end within a value would begin another header.
  for (size_t i = out.size() - 2 - value.size(); i < out.size() - 2; ++i) {
    if (absl::ascii_iscntrl(out[i])) out[i] = ' ';
  }
}

bool HasBody(unsigned status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

HttpAnswer ErrorAnswer(unsigned status, absl::string_view message, absl::string_view code) {
  HttpAnswer answer{status, {{"content-type", "application/json"}}, ""};
  answer.body = ErrorBody(StdView(message), TypeOf(status), /*param=*/"", StdView(code));
  if (status == 503) answer.headers.emplace_back("retry-after", "1");
  return answer;
}

void AppendHead(const HttpAnswer& answer, const HeadContext& context, std::string& out) {
  const auto reason =
      boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(answer.status));
  absl::StrAppend(&out, "HTTP/1.1 ", answer.status, " ",
                  absl::string_view(reason.data(), reason.size()),
                  "\r\nserver: regatta\r\ndate: ", context.date, "\r\n");
  if (!context.request_id.empty()) AppendHeader("x-request-id", context.request_id, out);
  for (const auto& [name, value] : answer.headers) AppendHeader(name, value, out);
  absl::StrAppend(&out, context.cors);
  if (context.chunked) {
    out += "transfer-encoding: chunked\r\n";
  } else if (HasBody(answer.status) && !context.streamed) {
    absl::StrAppend(&out, "content-length: ", answer.body.size(), "\r\n");
  }
  if (context.close) {
    out += "connection: close\r\n";
  } else if (context.http10) {
    out += "connection: keep-alive\r\n";
  }
  out += "\r\n";
}

size_t FrameChunk(std::string& bytes) {
  char size[kChunkGap + 1];
  const int length =
      std::snprintf(size, sizeof size, "%x\r\n", static_cast<unsigned>(bytes.size() - kChunkGap));
  const size_t begin = kChunkGap - static_cast<size_t>(length);
  std::memcpy(bytes.data() + begin, size, static_cast<size_t>(length));
  bytes += "\r\n";
  return begin;
}

}  // namespace regatta
