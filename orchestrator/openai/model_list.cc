// GET /v1/models; see model_list.h.
#include "orchestrator/openai/model_list.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/http/http_client.h"
#include "orchestrator/openai/completion_chunk.h"
#include "orchestrator/openai/request_body.h"
#include "orchestrator/terminal/interruptible_sleep.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr absl::Duration kPause = absl::Milliseconds(500);

absl::StatusOr<std::string> Ask(const HttpCall& call) {
  ASSIGN_OR_RETURN(const HttpAnswer answer, PerformHttp(call));
  if (answer.status == 401) {
    return absl::UnauthenticatedError(absl::StrCat("the server at ", call.url.ToString(),
                                                   " wants an API key: set OPENAI_API_KEY"));
  }
  if (answer.status != 200) return StatusOfAnswer(answer.status, answer.body);
  const json list = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  const json::json_pointer first("/data/0/id");
  if (!list.is_object() || !list.contains(first) || !list[first].is_string()) {
    return absl::NotFoundError(
        absl::StrCat(call.url.ToString(), " lists no model; name it with --model-name"));
  }
  return list[first].get<std::string>();
}

}  // namespace

absl::StatusOr<std::string> FirstModel(const HttpUrl& url, const std::string& api_key,
                                       absl::Duration timeout, const std::atomic<bool>& stop) {
  HttpCall call;
  call.url = url;
  call.url.target = ApiPath(url, "/models");
  call.bearer_token = api_key;
  call.stop = &stop;
  call.deadline = absl::Now() + timeout;
  while (true) {
    absl::StatusOr<std::string> name = Ask(call);
    const bool later =
        absl::IsUnavailable(name.status()) || absl::IsDeadlineExceeded(name.status());
    if (!later || absl::Now() + kPause > call.deadline) return name;
    if (!SleepUnless(stop, kPause)) return absl::CancelledError("interrupted");
  }
}

}  // namespace regatta
