// Both kinds of completion answer: a choice object is the same, as a piece or whole.
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "common/text/utf8.h"
#include "router/openai/completion_answer.h"
#include "router/openai/json_text.h"
#include "router/openai/logprobs.h"

namespace regatta {
namespace {

class CompletionWriter final : public ResponseWriter {
 public:
  CompletionWriter(CompletionAnswer answer, bool stream)
      : answer_(std::move(answer)), stream_(stream) {
    usage_.prompt_tokens = answer_.prompt_tokens;
    identity_ =
        absl::StrCat(stream_ ? "data: " : "", IdentityJson(answer_.identity, "text_completion"));
    usage_slot_ = answer_.include_usage ? ",\"usage\":null" : "";
    const uint32_t count = answer_.prompts.size() * answer_.n;
    choices_.reserve(count);
    for (uint32_t i = 0; i < count; ++i) choices_.emplace_back(answer_, identity_, i);
  }

  void Take(uint32_t index, const TokenDelta& delta, std::string& out) override {
    Choice& choice = choices_[index];
    const CompletionAnswer::Prompt& prompt = answer_.prompts[index / answer_.n];
    if (!std::exchange(choice.started, true)) TakePrompt(choice, prompt, delta);
    if (answer_.drop_output) {
      usage_.cached_tokens += index % answer_.n == 0 ? delta.usage().cached_tokens() : 0;
    } else {
      TakeOutput(choice, index, delta);
    }
    if (delta.finish_reason() != FINISH_REASON_NONE) {
      choice.finish = answer_.drop_output ? FINISH_REASON_LENGTH : delta.finish_reason();
    }
    // Tokens without text too, so that who times events times tokens.
    const bool news = delta.count() > 0 && !answer_.drop_output;
    if (stream_ && (news || choice.HasNews())) Event(choice, out);
  }

  void End(std::string& out) override {
    if (stream_) {
      if (answer_.include_usage) {
        absl::StrAppend(&out, identity_, ",\"choices\":[],");
        AppendUsage(usage_, out);
        out += "}\n\n";
      }
      out += "data: [DONE]\n\n";
      return;
    }
    absl::StrAppend(&out, identity_, ",\"choices\":[");
    for (size_t i = 0; i < choices_.size(); ++i) {
      absl::StrAppend(&out, i > 0 ? "," : "", "{\"index\":", i, ",\"text\":\"");
      AppendChoice(choices_[i], out);
    }
    out += "],";
    AppendUsage(usage_, out);
    out += "}";
  }

 private:
  struct Choice {
    Choice(const CompletionAnswer& answer, std::string_view identity, uint32_t index)
        : head(absl::StrCat(View(identity), ",\"choices\":[{\"index\":", index, ",\"text\":\"")),
          logprobs(answer.tokenizer, answer.skip_special_tokens,
                   answer.prompts[index / answer.n].shows_text) {}

    bool HasNews() const {
      return !text.empty() || logprobs.ready() || !prompt_ids.empty() ||
             finish != FINISH_REASON_NONE;
    }

    std::string head;
    bool started = false;
    // What has come; in a stream, since the last event.
    std::string text;
    CompletionLogprobs logprobs;
    std::vector<uint32_t> ids;
    std::vector<uint32_t> prompt_ids;
    FinishReason finish = FINISH_REASON_NONE;
  };

  // The first delta brings the prompt's log-probabilities.
  void TakePrompt(Choice& choice, const CompletionAnswer::Prompt& prompt,
                  const TokenDelta& delta) const {
    if (answer_.return_token_ids) choice.prompt_ids = prompt.ids;
    if (!answer_.echo) return;
    choice.text = prompt.text;
    if (!answer_.logprobs) return;
    choice.logprobs.AddPrompt(prompt.ids, prompt.offsets, CharacterCount(prompt.text),
                              delta.prompt_logprobs());
  }

  void TakeOutput(Choice& choice, uint32_t index, const TokenDelta& delta) {
    usage_.Add(delta, index % answer_.n == 0);
    choice.text += delta.text();
    if (answer_.logprobs) choice.logprobs.Add(delta);
    if (answer_.return_token_ids) {
      choice.ids.insert(choice.ids.end(), delta.token_ids().begin(), delta.token_ids().end());
    }
  }

  void Event(Choice& choice, std::string& out) {
    out += choice.head;
    AppendChoice(choice, out);
    out += "]";
    if (answer_.continuous_usage) {
      out.push_back(',');
      AppendUsage(usage_, out);
    } else {
      out += usage_slot_;
    }
    out += "}\n\n";
    choice.text.clear();
    choice.ids.clear();
    choice.prompt_ids.clear();
  }

  // From within the text on, with the closing brace.
  void AppendChoice(Choice& choice, std::string& out) const {
    AppendEscaped(choice.text, out);
    out += "\",\"logprobs\":";
    if (answer_.logprobs && (!stream_ || choice.logprobs.ready())) {
      choice.logprobs.TakeJson(out);
    } else {
      out += "null";
    }
    if (choice.finish == FINISH_REASON_NONE) {
      out += ",\"finish_reason\":null";
    } else {
      absl::StrAppend(&out, ",\"finish_reason\":\"", View(FinishReasonName(choice.finish)), "\"");
    }
    if (answer_.return_token_ids) {
      out += ",\"token_ids\":";
      AppendIds(choice.ids, out);
      if (!stream_ || !choice.prompt_ids.empty()) {
        out += ",\"prompt_token_ids\":";
        AppendIds(choice.prompt_ids, out);
      }
    }
    out += "}";
  }

  const CompletionAnswer answer_;
  const bool stream_;
  AnswerUsage usage_;
  std::string identity_;
  std::string_view usage_slot_;
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<ResponseWriter> MakeCompletionWriter(CompletionAnswer answer, bool stream) {
  return std::make_unique<CompletionWriter>(std::move(answer), stream);
}

}  // namespace regatta
