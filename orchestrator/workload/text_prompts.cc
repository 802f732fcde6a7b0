// Text and JSON lines to data set entries; see text_prompts.h.
#include "orchestrator/workload/text_prompts.h"

#include <istream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"
#include "orchestrator/workload/prompt_tokens.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr uint32_t kDefaultOutputTokens = 128;

absl::StatusOr<std::string> PromptOf(const json& line, const std::string& model_name) {
  const json prompt = line.value("prompt", json());
  if (prompt.is_string()) return prompt.get<std::string>();
  if (!prompt.is_object()) {
    return absl::InvalidArgumentError("'prompt' is neither a text nor texts by model name");
  }
  const json chosen = prompt.value(model_name, json());
  if (chosen.is_string()) return chosen.get<std::string>();
  return absl::InvalidArgumentError(
      absl::StrCat("'prompt' has no text for the model '", model_name, "' (--model DIR names it)"));
}

absl::Status ReadJson(const std::string& text, const std::string& model_name, DatasetEntry& entry) {
  ASSIGN_OR_RETURN(const json line, ParseJsonLine(text));
  ASSIGN_OR_RETURN(entry.prompt, PromptOf(line, model_name));
  const json id = line.value("task_id", line.value("id", json()));
  if (!id.is_null()) entry.task_id = id.is_string() ? id.get<std::string>() : id.dump();
  const json output = line.value("output_tokens", json(0u));
  if (!output.is_number_unsigned() || output.get<uint64_t>() > kMaxOutputTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("'output_tokens' must be a whole number in 1..", kMaxOutputTokens));
  }
  entry.output_tokens = output.get<uint32_t>();
  const json answer = line.value("answer", json());
  entry.has_answer = answer.is_string();
  if (entry.has_answer) entry.answer = answer.get<std::string>();
  return absl::OkStatus();
}

// Whether the entry stays, after its output length is settled.
bool Settle(const TextPromptOptions& options, const Tokenizer* tokenizer, DatasetEntry& entry) {
  if (options.output_tokens > 0) {
    entry.output_tokens = options.output_tokens;
  } else if (entry.output_tokens == 0 && entry.has_answer && tokenizer != nullptr) {
    const auto ids = tokenizer->Encode(entry.answer, /*add_special_tokens=*/false);
    entry.output_tokens = ids.size() + 1;  // the end token
  }
  if (entry.output_tokens == 0) entry.output_tokens = kDefaultOutputTokens;
  return options.max_input_tokens == 0 || tokenizer == nullptr ||
         EncodePrompt(*tokenizer, entry.prompt).size() <= options.max_input_tokens;
}

}  // namespace

absl::StatusOr<std::vector<DatasetEntry>> ReadTextPrompts(std::istream& in, const std::string& path,
                                                          const TextPromptOptions& options,
                                                          const Tokenizer* tokenizer) {
  std::vector<DatasetEntry> entries;
  std::string text;
  for (size_t number = 1; std::getline(in, text); ++number) {
    if (options.num_requests > 0 && entries.size() == options.num_requests) break;
    if (absl::StripAsciiWhitespace(text).empty()) continue;
    DatasetEntry entry;
    entry.task_id = absl::StrCat(entries.size());
    if (text[0] != '{') {
      entry.prompt = text;
    } else if (absl::Status status = ReadJson(text, options.model_name, entry); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", status.message()));
    }
    if (Settle(options, tokenizer, entry)) entries.push_back(std::move(entry));
  }
  if (entries.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no prompt is left"));
  return entries;
}

}  // namespace regatta
