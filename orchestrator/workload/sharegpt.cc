// Conversations to entries; see sharegpt.h.
#include "orchestrator/workload/sharegpt.h"

#include <algorithm>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"
#include "orchestrator/workload/prompt_tokens.h"

namespace regatta {
namespace {

using nlohmann::json;

struct Exchange {
  std::string prompt, answer;
};

bool IsHuman(const std::string& from) { return from == "human" || from == "user"; }

// The first two messages, whoever they are from, as vLLM takes them.
std::vector<Exchange> FirstExchangeOf(const json& conversation) {
  if (conversation.size() < 2) return {};
  return {{StringAt(conversation[0], "value"), StringAt(conversation[1], "value")}};
}

// Human and answer by turns, from the first human on up to where that order ends.
std::vector<Exchange> ExchangesOf(const json& conversation) {
  std::vector<Exchange> exchanges;
  size_t first = 0;
  while (first < conversation.size() && !IsHuman(StringAt(conversation[first], "from"))) ++first;
  for (size_t i = first; i + 1 < conversation.size(); i += 2) {
    const json& prompt = conversation[i];
    const json& answer = conversation[i + 1];
    if (!IsHuman(StringAt(prompt, "from")) || IsHuman(StringAt(answer, "from"))) break;
    Exchange exchange{StringAt(prompt, "value"), StringAt(answer, "value")};
    if (exchange.prompt.empty()) break;
    exchanges.push_back(std::move(exchange));
  }
  return exchanges;
}

class Converter {
 public:
  Converter(const ShareGptOptions& options, const Tokenizer& tokenizer)
      : options_(options), tokenizer_(tokenizer) {}

  // Nothing when the conversation is left out.
  std::optional<DatasetEntry> Convert(const json& conversation) const {
    const std::vector<Exchange> exchanges =
        options_.multi_turn ? ExchangesOf(conversation) : FirstExchangeOf(conversation);
    if (exchanges.empty()) return std::nullopt;
    DatasetEntry entry;
    entry.prompt = exchanges[0].prompt;
    entry.output_tokens = AnswerTokens(exchanges[0]);
    const uint64_t prompt_tokens = EncodePrompt(tokenizer_, entry.prompt).size();
    if (!IsTypical(prompt_tokens, entry.output_tokens)) return std::nullopt;
    for (size_t i = 1; i < exchanges.size(); ++i) {
      DatasetTurn turn;
      turn.prompt = exchanges[i].prompt;
      turn.output_tokens = std::max(1u, AnswerTokens(exchanges[i]));
      entry.next_turns.push_back(std::move(turn));
    }
    return entry;
  }

 private:
  // An output length that was asked for may be short.
  bool IsTypical(uint64_t prompt_tokens, uint64_t output_tokens) const {
    const bool long_enough = prompt_tokens >= options_.least_tokens &&
                             (options_.output_tokens > 0 || output_tokens >= options_.least_tokens);
    return long_enough && prompt_tokens <= options_.most_prompt_tokens &&
           prompt_tokens + output_tokens <= options_.most_total_tokens;
  }

  uint32_t AnswerTokens(const Exchange& exchange) const {
    if (options_.output_tokens > 0) return options_.output_tokens;
    return static_cast<uint32_t>(
        tokenizer_.Encode(exchange.answer, /*add_special_tokens=*/false).size());
  }

  const ShareGptOptions& options_;
  const Tokenizer& tokenizer_;
};

}  // namespace

absl::StatusOr<std::vector<DatasetEntry>> ReadShareGpt(std::istream& in, const std::string& path,
                                                       const ShareGptOptions& options,
                                                       const Tokenizer& tokenizer) {
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const absl::StatusOr<json> parsed = ParseJson(text);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", parsed.status().message()));
  }
  const json& file = *parsed;
  if (!file.is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a JSON list of conversations"));
  }
  const Converter converter(options, tokenizer);
  std::vector<DatasetEntry> entries;
  for (size_t i = 0; i < file.size(); ++i) {
    if (options.num_requests > 0 && entries.size() == options.num_requests) break;
    const json conversation = file[i].is_object() ? file[i].value("conversations", json()) : json();
    if (!conversation.is_array()) continue;
    std::optional<DatasetEntry> entry = converter.Convert(conversation);
    if (!entry) continue;
    const std::string id = StringAt(file[i], "id");
    entry->task_id = id.empty() ? absl::StrCat(entries.size()) : id;
    entries.push_back(*std::move(entry));
  }
  if (entries.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no conversation is left"));
  }
  return entries;
}

}  // namespace regatta
