// Both shapes, written token by token.
#include "router/openai/logprobs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/text/utf8.h"
#include "router/openai/json_text.h"

namespace regatta {
namespace {

void Separate(std::string& out) {
  if (!out.empty()) out.push_back(',');
}

// `"token":...,"logprob":...,"bytes":[...]`.
void AppendToken(std::string_view bytes, float logprob, std::string& out) {
  out += "\"token\":";
  if (IsValidUtf8(bytes)) {
    AppendJsonString(bytes, out);
  } else {
    std::string text;
    AppendUtf8Lossy(bytes, text);
    AppendJsonString(text, out);
  }
  out += ",\"logprob\":";
  AppendJsonFloat(logprob, out);
  out += ",\"bytes\":[";
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out.push_back(',');
    AppendJsonNumber(static_cast<uint8_t>(bytes[i]), out);
  }
  out += "]";
}

void AppendChatToken(const TokenDelta& delta, int index, const Tokenizer& tokenizer,
                     std::string& out) {
  out += "{";
  AppendToken(tokenizer.TokenBytes(delta.token_ids(index)), delta.logprobs(index), out);
  out += ",\"top_logprobs\":[";
  if (index < delta.top_logprobs_size()) {
    const TopLogprobs& top = delta.top_logprobs(index);
    for (int i = 0; i < top.token_ids_size(); ++i) {
      out += i > 0 ? ",{" : "{";
      AppendToken(tokenizer.TokenBytes(top.token_ids(i)), top.logprobs(i), out);
      out += "}";
    }
  }
  out += "]}";
}

// The name of a token in columns, which are maps by name.
std::string NameOf(const Tokenizer& tokenizer, uint32_t token) {
  const std::string_view bytes = tokenizer.TokenBytes(token);
  if (IsValidUtf8(bytes)) return std::string(bytes);
  std::string name = "bytes:";
  for (const char c : bytes) {
    absl::StrAppend(&name, "\\x", absl::Hex(static_cast<uint8_t>(c), absl::kZeroPad2));
  }
  return name;
}

}  // namespace

void AppendChatLogprobs(const TokenDelta& delta, const Tokenizer& tokenizer, std::string& out) {
  const int count = std::min(delta.token_ids_size(), delta.logprobs_size());
  for (int i = 0; i < count; ++i) {
    Separate(out);
    AppendChatToken(delta, i, tokenizer, out);
  }
}

void CompletionLogprobs::AddPrompt(absl::Span<const uint32_t> tokens,
                                   absl::Span<const uint64_t> offsets, uint64_t characters,
                                   const PromptLogprobs& logprobs) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int column = static_cast<int>(i) - 1;
    const bool known = column >= 0 && column < logprobs.logprobs_size();
    const bool has_top = known && column < logprobs.top_logprobs_size();
    AddToken(tokens[i], known ? &logprobs.logprobs().Get(column) : nullptr,
             has_top ? &logprobs.top_logprobs(column) : nullptr);
  }
  AddOffsets(offsets);
  output_at_ = characters;
}

void CompletionLogprobs::Add(const TokenDelta& delta) {
  const int count = std::min(delta.token_ids_size(), delta.logprobs_size());
  std::vector<uint64_t> offsets;
  for (int i = 0; i < count; ++i) {
    AddToken(delta.token_ids(i), &delta.logprobs().Get(i),
             i < delta.top_logprobs_size() ? &delta.top_logprobs(i) : nullptr);
    places_.Append(static_cast<int32_t>(delta.token_ids(i)), offsets);
  }
  if (delta.finish_reason() != FINISH_REASON_NONE) places_.Finish(offsets);
  for (uint64_t& offset : offsets) offset += output_at_;
  AddOffsets(offsets);
}

void CompletionLogprobs::AddOffsets(absl::Span<const uint64_t> offsets) {
  for (const uint64_t offset : offsets) {
    Separate(offsets_);
    AppendJsonNumber(offset, offsets_);
  }
  num_offsets_ += offsets.size();
}

void CompletionLogprobs::AddToken(uint32_t token, const float* logprob, const TopLogprobs* top) {
  ++num_tokens_;
  Separate(tokens_);
  AppendJsonString(NameOf(*tokenizer_, token), tokens_);
  Separate(logprobs_);
  Separate(tops_);
  if (logprob == nullptr) {
    logprobs_ += "null";
    tops_ += "null";
    return;
  }
  AppendJsonFloat(*logprob, logprobs_);
  AppendTop(token, *logprob, top);
}

void CompletionLogprobs::AppendTop(uint32_t token, float logprob, const TopLogprobs* top) {
  std::vector<std::string> names;
  const auto append = [&](uint32_t id, float value) {
    std::string name = NameOf(*tokenizer_, id);
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    if (!names.empty()) tops_.push_back(',');
    AppendJsonString(name, tops_);
    tops_.push_back(':');
    AppendJsonFloat(value, tops_);
    names.push_back(std::move(name));
  };
  tops_.push_back('{');
  for (int i = 0; top != nullptr && i < top->token_ids_size(); ++i) {
    append(top->token_ids(i), top->logprobs(i));
  }
  append(token, logprob);
  tops_.push_back('}');
}

void CompletionLogprobs::TakeJson(std::string& out) {
  absl::StrAppend(&out, "{\"tokens\":[", tokens_, "],\"token_logprobs\":[", logprobs_,
                  "],\"top_logprobs\":[", tops_, "],\"text_offset\":[", offsets_, "]}");
  for (std::string* column : {&tokens_, &logprobs_, &tops_, &offsets_}) column->clear();
  num_tokens_ = num_offsets_ = 0;
}

}  // namespace regatta
