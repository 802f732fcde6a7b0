// A request of the client API as the body that OpenAI-compatible servers take.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/http/http_url.h"
#include "proto/inference.pb.h"

namespace regatta {

enum class Endpoint {
  kCompletions,  // POST /v1/completions: prompts as text or token ids
  kChat,         // POST /v1/chat/completions: a text prompt is one message of the user
};

// "completions" or "chat"; INVALID_ARGUMENT names the value.
absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view name);
const char* PathOf(Endpoint endpoint);  // without "/v1"
// `path` below the "/v1" of the server at `url`, which may be given with it.
std::string ApiPath(const HttpUrl& url, absl::string_view path);

struct BodyOptions {
  Endpoint endpoint = Endpoint::kCompletions;
  std::string model;             // as GET /v1/models lists it
  bool continuous_usage = true;  // vLLM's extension: every event says how many tokens there are
};

// A streaming request. Fields that only servers like vLLM know (ignore_eos, stop_token_ids) are
// written where they are set. INVALID_ARGUMENT: token ids for a chat.
absl::StatusOr<std::string> RequestBody(const GenerateRequest& request, const BodyOptions& options);

}  // namespace regatta
