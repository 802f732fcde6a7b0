// Chat answers as a stream. All of an event but its text is made once per choice.
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/openai/chat_answer.h"
#include "router/openai/json_text.h"
#include "router/openai/logprobs.h"

namespace regatta {
namespace {

class ChatStreamWriter final : public ResponseWriter {
 public:
  explicit ChatStreamWriter(ChatAnswer answer) : answer_(std::move(answer)) {
    usage_.prompt_tokens = answer_.prompt_tokens;
    identity_ = absl::StrCat("data: ", IdentityJson(answer_.identity, "chat.completion.chunk"));
    text_only_ = !answer_.logprobs && !answer_.return_token_ids && !answer_.continuous_usage;
    plain_end_ = absl::StrCat("},\"logprobs\":null,\"finish_reason\":null}]",
                              answer_.include_usage ? ",\"usage\":null" : "", "}\n\n");
    choices_.reserve(answer_.n);
    for (uint32_t i = 0; i < answer_.n; ++i) choices_.emplace_back(answer_.tools, identity_, i);
  }

  void Take(uint32_t index, const TokenDelta& delta, std::string& out) override {
    if (!std::exchange(started_, true)) Start(out);
    Choice& choice = choices_[index];
    usage_.Add(delta, index == 0);
    const bool last = delta.finish_reason() != FINISH_REASON_NONE;
    if (answer_.logprobs) AppendChatLogprobs(delta, answer_.tokenizer, choice.logprobs);
    if (answer_.return_token_ids) {
      choice.ids.insert(choice.ids.end(), delta.token_ids().begin(), delta.token_ids().end());
    }
    const size_t size_before = out.size();
    if (answer_.tools.any()) {
      for (const ToolEvent& event : choice.splitter.Split(delta.text(), last)) {
        BodyEvent(choice, EventBody(event), out);
      }
    } else if (!delta.text().empty()) {
      TextEvent(choice, delta.text(), out);
    }
    const bool silent = out.size() == size_before && delta.count() > 0 && !last;
    if (silent || !choice.logprobs.empty() || !choice.ids.empty()) {
      // Tokens whose text is held back, or that have none: who times events times tokens.
      BodyEvent(choice, answer_.tools.any() ? "" : "\"content\":\"\"", out);
    }
    if (last) FinishEvent(choice, delta.finish_reason(), out);
  }

  void End(std::string& out) override {
    if (answer_.include_usage) {
      absl::StrAppend(&out, identity_, ",\"choices\":[],");
      AppendUsage(usage_, out);
      out += "}\n\n";
    }
    out += "data: [DONE]\n\n";
  }

 private:
  struct Choice {
    Choice(const ToolUse& tools, std::string_view identity, uint32_t index)
        : head(absl::StrCat(View(identity), ",\"choices\":[{\"index\":", index, ",\"delta\":{")),
          text_head(absl::StrCat(head, "\"content\":\"")),
          splitter(tools) {}

    std::string head;
    std::string text_head;
    MessageSplitter splitter;
    std::string logprobs;       // not yet sent
    std::vector<uint32_t> ids;  // likewise
  };

  // The role of every choice.
  void Start(std::string& out) {
    for (uint32_t i = 0; i < answer_.n; ++i) {
      absl::StrAppend(&out, choices_[i].head, "\"role\":\"assistant\",\"content\":\"\"");
      if (i > 0 || !answer_.return_token_ids) {
        out += plain_end_;
        continue;
      }
      out.append(plain_end_, 0, plain_end_.size() - 3);
      out += ",\"prompt_token_ids\":";
      AppendIds(answer_.prompt_ids, out);
      out += "}\n\n";
    }
  }

  void TextEvent(Choice& choice, std::string_view text, std::string& out) {
    out += choice.text_head;
    AppendEscaped(text, out);
    out.push_back('"');
    if (text_only_) {
      out += plain_end_;
    } else {
      EndEvent(choice, "null", out);
    }
  }

  // `body` is the inside of the delta.
  void BodyEvent(Choice& choice, std::string_view body, std::string& out) {
    out += choice.head;
    out += body;
    EndEvent(choice, "null", out);
  }

  void FinishEvent(Choice& choice, FinishReason reason, std::string& out) {
    const bool called = choice.splitter.called() && reason == FINISH_REASON_STOP;
    out += choice.head;
    EndEvent(choice,
             absl::StrCat("\"", called ? "tool_calls" : View(FinishReasonName(reason)), "\""), out);
  }

  static std::string EventBody(const ToolEvent& event) {
    std::string body;
    if (event.kind == ToolEvent::kContent) {
      body = "\"content\":";
      AppendJsonString(event.text, body);
      return body;
    }
    absl::StrAppend(&body, "\"tool_calls\":[{\"index\":", event.call);
    if (event.kind == ToolEvent::kCall) {
      absl::StrAppend(&body, ",\"id\":\"", RandomId("call_"),
                      "\",\"type\":\"function\",\"function\":{\"name\":");
      AppendJsonString(event.text, body);
      body += ",\"arguments\":\"\"}}]";
    } else {
      body += ",\"function\":{\"arguments\":";
      AppendJsonString(event.text, body);
      body += "}}]";
    }
    return body;
  }

  // From the end of the delta on, with the log-probabilities and ids that wait.
  void EndEvent(Choice& choice, std::string_view finish_reason, std::string& out) {
    out += "},\"logprobs\":";
    if (choice.logprobs.empty()) {
      out += "null";
    } else {
      absl::StrAppend(&out, "{\"content\":[", std::exchange(choice.logprobs, {}),
                      "],\"refusal\":null}");
    }
    absl::StrAppend(&out, ",\"finish_reason\":", View(finish_reason));
    if (!choice.ids.empty()) {
      out += ",\"token_ids\":";
      AppendIds(std::exchange(choice.ids, {}), out);
    }
    out += "}]";
    if (answer_.continuous_usage) {
      out.push_back(',');
      AppendUsage(usage_, out);
    } else if (answer_.include_usage) {
      out += ",\"usage\":null";
    }
    out += "}\n\n";
  }

  const ChatAnswer answer_;
  AnswerUsage usage_;
  std::string identity_;
  std::string plain_end_;  // of events that carry only text
  bool text_only_ = false;
  bool started_ = false;
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<ResponseWriter> MakeChatStreamWriter(ChatAnswer answer) {
  return std::make_unique<ChatStreamWriter>(std::move(answer));
}

}  // namespace regatta
