// Fields and their JSON; see request_body.h.
#include "orchestrator/openai/request_body.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace regatta {
namespace {

using nlohmann::json;

absl::Status SetPrompt(const GenerateRequest& request, Endpoint endpoint, json& body) {
  if (endpoint == Endpoint::kChat) {
    if (!request.has_text()) {
      return absl::InvalidArgumentError(
          "a chat needs text prompts, this data set has token ids: use --endpoint completions");
    }
    body["messages"] = {{{"role", "user"}, {"content", request.text()}}};
  } else if (request.has_text()) {
    body["prompt"] = request.text();
  }
  return absl::OkStatus();
}

// Long prompts of ids are written without a document: it would cost many times the sending.
void AppendIds(const GenerateRequest& request, std::string& body) {
  body.pop_back();
  absl::StrAppend(&body, ",\"prompt\":[", absl::StrJoin(request.token_ids().ids(), ","), "]}");
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view name) {
  if (name == "completions") return Endpoint::kCompletions;
  if (name == "chat") return Endpoint::kChat;
  return absl::InvalidArgumentError(
      absl::StrCat("--endpoint is '", name, "', must be completions or chat"));
}

const char* PathOf(Endpoint endpoint) {
  return endpoint == Endpoint::kChat ? "/chat/completions" : "/completions";
}

std::string ApiPath(const HttpUrl& url, absl::string_view path) {
  absl::string_view prefix = url.target;
  absl::ConsumeSuffix(&prefix, "/");
  absl::ConsumeSuffix(&prefix, "/v1");
  return absl::StrCat(prefix, "/v1", path);
}

absl::StatusOr<std::string> RequestBody(const GenerateRequest& request,
                                        const BodyOptions& options) {
  json body = {{"model", options.model},
               {"stream", true},
               {"stream_options", {{"include_usage", true}}},
               {"temperature", request.sampling().temperature()}};
  if (absl::Status status = SetPrompt(request, options.endpoint, body); !status.ok()) return status;
  if (options.continuous_usage) body["stream_options"]["continuous_usage_stats"] = true;
  if (request.max_tokens() > 0) body["max_tokens"] = request.max_tokens();
  if (request.ignore_eos()) body["ignore_eos"] = true;
  if (request.stop_token_ids_size() > 0) body["stop_token_ids"] = request.stop_token_ids();
  if (request.stop_size() > 0) body["stop"] = request.stop();
  // Text that is cut within a character is replaced, as a server would.
  std::string text = body.dump(-1, ' ', false, json::error_handler_t::replace);
  if (!request.has_text()) AppendIds(request, text);
  return text;
}

}  // namespace regatta
