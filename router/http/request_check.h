// What is decided about a request when its header is there, before its body is read.
#pragma once

#include <optional>

#include "router/http/request_parser.h"
#include "router/http/response.h"
#include "router/http/server_state.h"

namespace regatta {

struct RequestVerdict {
  const HttpHandler* handler = nullptr;
  std::optional<HttpAnswer> answer;  // the server's own, instead of the handler
  StatusCounts* counts = nullptr;    // of the route
};

// Fills in path, query, id and caller of the parsed request. One path, decoded once, decides about
// keys and about the route. `new_id` is taken when the client gave no usable x-request-id.
RequestVerdict CheckRequest(ServerState& state, RequestParser& parser, std::string new_id);

// Header lines that let pages of the request's origin read the answer; empty when they may not.
std::string CorsLines(const std::string& allowed_origins, const HttpRequest& request);

}  // namespace regatta
