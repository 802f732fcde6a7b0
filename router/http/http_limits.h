// What one client, and all of them together, may ask of the HTTP server. Exceeding a limit is
// answered with the status named beside it, then the connection closes.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace regatta {

struct HttpLimits {
  // Sizes. A value equal to its limit passes.
  size_t max_target_bytes = 8 << 10;     // 414
  size_t max_header_bytes = 32 << 10;    // 431: the header; one chunk's line; the trailers
  size_t max_headers = 100;              // 431
  size_t max_body_bytes = 16 << 20;      // 413
  size_t max_bodies_bytes = 1 << 30;     // 503: bodies of all requests that are not answered yet,
                                         // and large answers that wait for their clients
  size_t large_answer_bytes = 64 << 10;  // larger ones count there
  size_t max_ahead_bytes = 64 << 10;     // cut off: sent while an earlier request is worked on
  size_t max_connections = 8192;         // 503
  size_t max_connections_per_peer = 0;   // 503, by address; 0 = as many as there are
  // Bytes of an event stream that may wait for its client. More cut it off, unless they are one
  // call's and nothing else waits.
  size_t max_stream_bytes = 1 << 20;

  // Times.
  absl::Duration handshake = absl::Seconds(10);        // TLS
  absl::Duration header_read = absl::Seconds(10);      // 408: from the first byte to the last
  absl::Duration body_idle = absl::Seconds(30);        // 408: between two bytes
  size_t min_body_rate = 1 << 10;                      // 408: bytes/s, after body_idle
  absl::Duration keep_alive_idle = absl::Seconds(75);  // between requests
  absl::Duration write_stall = absl::Seconds(60);      // the client takes nothing of what waits
  absl::Duration linger = absl::Seconds(2);            // for a client to read the last answer
  absl::Duration event_silence = absl::Seconds(15);    // then a comment keeps proxies from closing
};

}  // namespace regatta
