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
constexpr absl::Duration kOneQuestion = absl::Seconds(10);  // a list is no work

absl::StatusOr<ListedModel> Ask(const HttpCall& call) {
  ASSIGN_OR_RETURN(const HttpAnswer answer, PerformHttp(call));
  if (answer.status == 401) {
    return absl::UnauthenticatedError(absl::StrCat("the server at ", call.url.ToString(),
                                                   " wants an API key: set OPENAI_API_KEY"));
  }
  if (answer.status == 404) {
    return absl::NotFoundError(
        absl::StrCat(call.url.ToString(),
                     " is not there (HTTP 404): is --url an OpenAI-compatible server? If it "
                     "lists no models, name one with --model-name"));
  }
  if (answer.status != 200) return StatusOfAnswer(answer.status, answer.body);
  const json list = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  const json::json_pointer first("/data/0/id");
  if (!list.is_object() || !list.contains(first) || !list[first].is_string()) {
    return absl::NotFoundError(
        absl::StrCat(call.url.ToString(), " lists no model; name it with --model-name"));
  }
  ListedModel model{list[first].get<std::string>()};
  const json longest = list.value(json::json_pointer("/data/0/max_model_len"), json());
  if (longest.is_number_unsigned() && longest.get<uint64_t>() <= UINT32_MAX) {
    model.max_model_len = longest.get<uint32_t>();  // vLLM's, SGLang's and ours
  }
  return model;
}

}  // namespace

absl::StatusOr<ListedModel> FirstModel(const HttpUrl& url, const std::string& api_key,
                                       const ModelPatience& patience, const std::atomic<bool>& stop,
                                       const OnModelRetry& on_retry) {
  HttpCall call;
  call.url = url;
  call.url.target = ApiPath(url, "/models");
  call.bearer_token = api_key;
  call.stop = &stop;
  call.connect_timeout = call.idle_timeout = kOneQuestion;
  const absl::Time begun = absl::Now();
  call.deadline = begun + patience.silent;
  call.on_answer = [&](const HttpAnswer& answer) {
    if (answer.status >= 502 && answer.status <= 504) call.deadline = begun + patience.starting;
    return absl::OkStatus();
  };
  while (true) {
    const absl::StatusOr<ListedModel> model = Ask(call);
    const bool later =
        absl::IsUnavailable(model.status()) || absl::IsDeadlineExceeded(model.status());
    if (!later || absl::Now() + kPause > call.deadline) return model;
    if (on_retry) on_retry(model.status(), call.deadline - begun);
    if (!SleepUnless(stop, kPause)) return absl::CancelledError("interrupted");
  }
}

}  // namespace regatta
