// The bytes of answers: heads, errors, chunks.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "router/http/exchange.h"

namespace regatta {

// A whole answer, or the head of a stream of events.
struct HttpAnswer {
  unsigned status = 200;
  HttpHeaders headers;
  std::string body;
};

// An error in the OpenAI API's shape: {"error": {"message", "type", "param": null, "code"}}. `code`
// may be empty (null). 503 tells when to come again.
HttpAnswer ErrorAnswer(unsigned status, absl::string_view message, absl::string_view code = "");

// What the connection adds to an answer.
struct HeadContext {
  absl::string_view date;        // as in the header of that name
  absl::string_view request_id;  // empty: unknown
  absl::string_view cors;        // whole lines
  bool close = false;            // the connection ends with this answer
  bool http10 = false;
  bool chunked = false;   // of unknown length, in chunks
  bool streamed = false;  // of unknown length
};

// Appends status line and headers, up to and including the empty line. Header values come without
// control characters, whatever `answer` has.
void AppendHead(const HttpAnswer& answer, const HeadContext& context, std::string& out);

// Bytes to leave free before the first byte of what becomes one chunk.
inline constexpr size_t kChunkGap = 10;
// Makes `bytes`, whose first kChunkGap bytes are free, one chunk (RFC 9112, 7.1); where it begins.
size_t FrameChunk(std::string& bytes);
inline constexpr absl::string_view kLastChunk = "0\r\n\r\n";

}  // namespace regatta
