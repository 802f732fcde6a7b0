// ChatTemplate: a conversation as the text that a model was trained on, by the Jinja template in
// the model's directory. Knows neither requests nor tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace regatta {

struct ChatInput {
  // JSON whose objects keep the caller's key order, which templates print. Borrowed.
  const nlohmann::ordered_json& messages;         // array of {role, content, ...}, as OpenAI's API
  const nlohmann::ordered_json* tools = nullptr;  // array of tools; null = none
  const nlohmann::ordered_json* variables = nullptr;  // object of more (enable_thinking, ...)
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the last message is left open for the model to go on
  int64_t now_s = 0;                    // Unix time for strftime_now
};

// Gives transformers' apply_chat_template text. Immutable and safe to share between threads.
class ChatTemplate {
 public:
  // From chat_template.jinja, else chat_template of tokenizer_config.json (text, or a list of named
  // ones: "default", and "tool_use" when tools are given), with the special tokens named there.
  // NOT_FOUND when the directory has none; INVALID_ARGUMENT names line and column.
  static absl::StatusOr<std::unique_ptr<ChatTemplate>> Load(const std::string& model_dir);
  // One template. `bos_token` and `eos_token` are its variables of those names.
  static absl::StatusOr<std::unique_ptr<ChatTemplate>> FromText(std::string_view source,
                                                                std::string_view bos_token,
                                                                std::string_view eos_token);
  ~ChatTemplate();

  // INVALID_ARGUMENT: the template refuses the conversation (raise_exception) or cannot render it;
  // RESOURCE_EXHAUSTED: more than kMaxSteps operations, kMaxOutputBytes of text or ten seconds.
  absl::StatusOr<std::string> Render(const ChatInput& input) const;

  static constexpr int64_t kMaxSteps = 10'000'000;
  static constexpr size_t kMaxOutputBytes = size_t{64} << 20;

 private:
  struct Parts;
  explicit ChatTemplate(std::unique_ptr<const Parts> parts);

  std::unique_ptr<const Parts> parts_;
};

}  // namespace regatta
