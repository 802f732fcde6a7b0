// Chat answers as one document.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/openai/chat_answer.h"
#include "router/openai/json_text.h"
#include "router/openai/logprobs.h"

namespace regatta {
namespace {

class ChatWholeWriter final : public ResponseWriter {
 public:
  explicit ChatWholeWriter(ChatAnswer answer) : answer_(std::move(answer)) {
    usage_.prompt_tokens = answer_.prompt_tokens;
    choices_.reserve(answer_.n);
    for (uint32_t i = 0; i < answer_.n; ++i) choices_.emplace_back(answer_.tools);
  }

  void Take(uint32_t index, const TokenDelta& delta, std::string&) override {
    Choice& choice = choices_[index];
    usage_.Add(delta, index == 0);
    const bool last = delta.finish_reason() != FINISH_REASON_NONE;
    if (answer_.logprobs) AppendChatLogprobs(delta, answer_.tokenizer, choice.logprobs);
    if (answer_.return_token_ids) {
      choice.ids.insert(choice.ids.end(), delta.token_ids().begin(), delta.token_ids().end());
    }
    if (answer_.tools.any()) {
      for (ToolEvent& event : choice.splitter.Split(delta.text(), last)) {
        TakeEvent(choice, std::move(event));
      }
    } else {
      choice.content += delta.text();
    }
    if (last) choice.finish = delta.finish_reason();
  }

  void End(std::string& out) override {
    absl::StrAppend(&out, IdentityJson(answer_.identity, "chat.completion"), ",\"choices\":[");
    for (uint32_t i = 0; i < answer_.n; ++i) {
      if (i > 0) out.push_back(',');
      AppendChoice(i, out);
    }
    out += "],";
    AppendUsage(usage_, out);
    if (answer_.return_token_ids) {
      out += ",\"prompt_token_ids\":";
      AppendIds(answer_.prompt_ids, out);
    }
    out += "}";
  }

 private:
  struct Call {
    std::string name;
    std::string arguments;
  };
  struct Choice {
    explicit Choice(const ToolUse& tools) : splitter(tools) {}

    MessageSplitter splitter;
    std::string content;
    std::vector<Call> calls;
    std::string logprobs;
    std::vector<uint32_t> ids;
    FinishReason finish = FINISH_REASON_NONE;
  };

  static void TakeEvent(Choice& choice, ToolEvent event) {
    switch (event.kind) {
      case ToolEvent::kContent:
        choice.content += event.text;
        break;
      case ToolEvent::kCall:
        choice.calls.push_back({.name = std::move(event.text), .arguments = {}});
        break;
      case ToolEvent::kArguments:
        choice.calls.back().arguments += event.text;
        break;
    }
  }

  static void AppendMessage(const Choice& choice, std::string& out) {
    out += "{\"role\":\"assistant\",\"content\":";
    if (choice.content.empty() && !choice.calls.empty()) {
      out += "null";
    } else {
      AppendJsonString(choice.content, out);
    }
    out += ",\"refusal\":null";
    for (size_t i = 0; i < choice.calls.size(); ++i) {
      absl::StrAppend(&out, i == 0 ? ",\"tool_calls\":[" : ",", "{\"id\":\"", RandomId("call_"),
                      "\",\"type\":\"function\",\"function\":{\"name\":");
      AppendJsonString(choice.calls[i].name, out);
      out += ",\"arguments\":";
      AppendJsonString(choice.calls[i].arguments, out);
      out += i + 1 < choice.calls.size() ? "}}" : "}}]";
    }
    out += "}";
  }

  void AppendChoice(uint32_t index, std::string& out) const {
    const Choice& choice = choices_[index];
    absl::StrAppend(&out, "{\"index\":", index, ",\"message\":");
    AppendMessage(choice, out);
    if (answer_.logprobs) {
      absl::StrAppend(&out, ",\"logprobs\":{\"content\":[", choice.logprobs, "],\"refusal\":null}");
    } else {
      out += ",\"logprobs\":null";
    }
    const bool called = !choice.calls.empty() && choice.finish == FINISH_REASON_STOP;
    absl::StrAppend(&out, ",\"finish_reason\":\"",
                    called ? "tool_calls" : View(FinishReasonName(choice.finish)), "\"");
    if (answer_.return_token_ids) {
      out += ",\"token_ids\":";
      AppendIds(choice.ids, out);
    }
    out += "}";
  }

  const ChatAnswer answer_;
  AnswerUsage usage_;
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<ResponseWriter> MakeChatWholeWriter(ChatAnswer answer) {
  return std::make_unique<ChatWholeWriter>(std::move(answer));
}

}  // namespace regatta
