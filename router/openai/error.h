// Errors as the OpenAI API shows them: {"error": {"message", "type", "param", "code"}}.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "router/http/exchange.h"

namespace regatta {

struct OpenAiContext;

// `status` with the API's `code` for it ("model_not_found"), where its kind alone does not say it.
absl::Status WithApiCode(absl::Status status, std::string_view code);

// HTTP status for `status`: 400 for what the client can mend, 401, 403, 404, 413 only from the
// server, 429 for a full queue, 503 for what later may serve (unavailable, waited too long,
// cancelled by the server), 501, 500 for the rest.
unsigned HttpStatusOf(const absl::Status& status);

// The error object. `param` is the field that a message of the form "field: what" names. Messages
// of 5xx are replaced by general ones: they may name addresses and paths.
std::string ErrorJson(const absl::Status& status);

// Answers with `status`. 429 and 503 tell when to come again: `context.retry_after_s` in whole
// seconds, from 1 to 600. Requests that were dropped before any work was done on them say so to
// gateways of llm-d. What the client is not told (500) is logged.
void ReplyError(Exchange& exchange, const absl::Status& status, const OpenAiContext& context);

// Ends a stream that breaks after it began, by a last event "data: {"error": ...}\n\n" behind
// `pending`. Logs likewise.
void BreakEvents(Exchange& exchange, std::string pending, const absl::Status& status,
                 const OpenAiContext& context);

// Content type of every JSON answer.
HttpHeaders JsonHeaders();

}  // namespace regatta
