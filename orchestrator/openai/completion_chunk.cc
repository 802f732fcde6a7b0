// JSON of events and errors; see completion_chunk.h.
#include "orchestrator/openai/completion_chunk.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/json_text.h"
#include "orchestrator/openai/chunk_scanner.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr size_t kQuotedBytes = 200;
constexpr uint64_t kMostCounted = std::numeric_limits<uint32_t>::max();

uint32_t CountAt(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(found->get<uint64_t>(), kMostCounted));
}

Usage UsageOf(const json& object) {
  Usage usage;
  usage.set_prompt_tokens(CountAt(object, "prompt_tokens"));
  usage.set_output_tokens(CountAt(object, "completion_tokens"));
  const auto details = object.find("prompt_tokens_details");
  if (details != object.end() && details->is_object()) {
    usage.set_cached_tokens(CountAt(*details, "cached_tokens"));
  }
  return usage;
}

// {"error": {"message": ...}}, {"message": ...} (older vLLM) or {"detail": ...} (FastAPI).
std::string ErrorMessage(const json& document) {
  if (!document.is_object()) return "";
  const auto error = document.find("error");
  if (error != document.end()) {
    if (error->is_string()) return error->get<std::string>();
    return error->is_object() ? StringAt(*error, "message") : error->dump();
  }
  const std::string message = StringAt(document, "message");
  return message.empty() ? StringAt(document, "detail") : message;
}

void ReadChoice(const json& choice, CompletionChunk& chunk) {
  chunk.text = StringAt(choice, "text");
  for (const char* part : {"delta", "message"}) {
    const auto found = choice.find(part);
    if (found == choice.end() || !found->is_object()) continue;
    for (const char* key : {"reasoning_content", "reasoning", "content"}) {
      chunk.text += StringAt(*found, key);
    }
  }
  chunk.finish = FinishOf(StringAt(choice, "finish_reason"));
}

absl::StatusCode CodeOf(unsigned status) {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 502:
    case 503:
    case 504:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::string_view Quoted(absl::string_view text) { return text.substr(0, kQuotedBytes); }

// The beginning of an answer that is no JSON, a web page say.
std::string OneLine(absl::string_view text) {
  std::string line(Quoted(text));
  absl::RemoveExtraAsciiWhitespace(&line);
  return text.size() > kQuotedBytes ? absl::StrCat(line, "...") : line;
}

}  // namespace

FinishReason FinishOf(absl::string_view reason) {
  if (reason.empty()) return FINISH_REASON_NONE;
  if (reason == "length") return FINISH_REASON_LENGTH;
  if (reason == "error") return FINISH_REASON_ERROR;
  return reason == "abort" || reason == "cancelled" ? FINISH_REASON_CANCELLED : FINISH_REASON_STOP;
}

absl::StatusOr<CompletionChunk> ParseCompletionChunk(absl::string_view text) {
  CompletionChunk chunk;
  if (ScanCompletionChunk(text, chunk)) return chunk;
  return ParseWholeCompletionChunk(text);
}

absl::StatusOr<CompletionChunk> ParseWholeCompletionChunk(absl::string_view text) {
  const json document = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the server sent an event that is no JSON object: ", Quoted(text)));
  }
  const auto error = document.find("error");
  if (error != document.end() && !error->is_null()) {
    return absl::InternalError(ErrorMessage(document));
  }
  CompletionChunk chunk;
  const auto choices = document.find("choices");
  if (choices == document.end() || !choices->is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the server sent an event without choices: ", Quoted(text)));
  }
  if (!choices->empty() && choices->front().is_object()) ReadChoice(choices->front(), chunk);
  const auto usage = document.find("usage");
  if (usage != document.end() && usage->is_object()) chunk.usage = UsageOf(*usage);
  return chunk;
}

absl::Status StatusOfAnswer(unsigned status, absl::string_view body) {
  const json document = json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
  std::string message = ErrorMessage(document);
  if (message.empty()) message = OneLine(body);
  return absl::Status(CodeOf(status), absl::StrCat("HTTP ", status, ": ", message));
}

}  // namespace regatta
