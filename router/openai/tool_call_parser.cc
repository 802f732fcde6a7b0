// The outer grammar of each syntax; objects within are CallObject's.
#include "router/openai/tool_call_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/string_views.h"

namespace regatta {
namespace {

constexpr std::string_view kCloseTag = "</tool_call>";
constexpr std::string_view kPythonTag = "<|python_tag|>";

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

void Add(ToolEvent::Kind kind, uint32_t call, std::string_view text,
         std::vector<ToolEvent>& events) {
  if (text.empty() && kind != ToolEvent::kCall) return;
  const bool joins = !events.empty() && kind != ToolEvent::kCall && events.back().kind == kind &&
                     events.back().call == call;
  if (joins) {
    events.back().text.append(text);
  } else {
    events.push_back({.kind = kind, .call = call, .text = std::string(text)});
  }
}

}  // namespace

absl::StatusOr<ToolCallSyntax> ChooseToolCallSyntax(std::string_view option,
                                                    const Tokenizer* tokenizer) {
  if (option == "none") return ToolCallSyntax::kNone;
  if (option == "hermes") return ToolCallSyntax::kHermes;
  if (option == "llama3_json") return ToolCallSyntax::kLlamaJson;
  if (option != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("tool call syntax '", View(option),
                     "' is unknown; known: auto, llama3_json, hermes, none"));
  }
  // Hermes models on Llama have both: they were trained last on <tool_call>.
  if (tokenizer == nullptr) return ToolCallSyntax::kNone;
  if (tokenizer->TokenId(kToolCallTag)) return ToolCallSyntax::kHermes;
  if (tokenizer->TokenId(kPythonTag)) return ToolCallSyntax::kLlamaJson;
  return ToolCallSyntax::kNone;
}

ToolCallParser::ToolCallParser(ToolCallSyntax syntax, const std::vector<std::string>& names)
    : syntax_(syntax),
      names_(names),
      state_(syntax == ToolCallSyntax::kLlamaJson || syntax == ToolCallSyntax::kJsonArray
                 ? State::kStart
                 : State::kContent) {}

void ToolCallParser::Append(std::string_view text, std::vector<ToolEvent>& events) {
  for (size_t i = 0; i < text.size(); ++i) {
    // Without tags content stays content.
    if (state_ == State::kContent && syntax_ != ToolCallSyntax::kHermes) {
      return Add(ToolEvent::kContent, 0, text.substr(i), events);
    }
    Take(text[i], events);
  }
}

void ToolCallParser::Take(char c, std::vector<ToolEvent>& events) {
  switch (state_) {
    case State::kStart:
      return TakeAtStart(c, events);
    case State::kContent:
      return TakeContent(c, events);
    case State::kBeforeObject:
      return TakeBeforeObject(c, events);
    case State::kObject:
      return TakeObject(c, events);
    case State::kAfterObject:
      return TakeAfterObject(c, events);
  }
}

void ToolCallParser::BeginObject() {
  object_.Reset();
  state_ = State::kObject;
}

void ToolCallParser::Release(std::vector<ToolEvent>& events) {
  Add(ToolEvent::kContent, 0, held_, events);
  held_.clear();
  tag_ = 0;
  state_ = State::kContent;
}

// The beginning of output that is calls or no calls as a whole.
void ToolCallParser::TakeAtStart(char c, std::vector<ToolEvent>& events) {
  held_.push_back(c);
  if (tag_ > 0 && tag_ < kPythonTag.size()) {
    if (c != kPythonTag[tag_++]) Release(events);
    return;
  }
  if (IsSpace(c)) return;
  if (syntax_ == ToolCallSyntax::kJsonArray) {
    if (c != '[') return Release(events);
    state_ = State::kBeforeObject;
  } else if (c == '{') {
    BeginObject();
  } else if (c == kPythonTag[0] && tag_ == 0) {
    tag_ = 1;
  } else {
    Release(events);
  }
}

// White space is held too: before a call and at the end it belongs to nothing.
void ToolCallParser::TakeContent(char c, std::vector<ToolEvent>& events) {
  if (c == kToolCallTag[tag_]) {
    held_.push_back(c);
    if (++tag_ == kToolCallTag.size()) state_ = State::kBeforeObject;
    return;
  }
  if (tag_ > 0) Release(events);  // The tag has one '<': a new one can begin only here.
  if (IsSpace(c) || c == kToolCallTag[0]) {
    tag_ = c == kToolCallTag[0];
    held_.push_back(c);
    return;
  }
  held_.push_back(c);
  Release(events);
}

void ToolCallParser::TakeBeforeObject(char c, std::vector<ToolEvent>& events) {
  held_.push_back(c);
  if (IsSpace(c)) return;
  if (c == '{') return BeginObject();
  Release(events);
}

bool ToolCallParser::IsCall(bool done) const {
  const bool forced = syntax_ == ToolCallSyntax::kJsonArray;
  return object_.has_name() && (object_.has_arguments() || done || forced);
}

void ToolCallParser::TakeObject(char c, std::vector<ToolEvent>& events) {
  const bool announced = held_.empty();
  const CallObject::Result result = object_.Take(c);
  if (!announced) held_.push_back(c);
  const bool done = result == CallObject::Result::kDone;
  if (result == CallObject::Result::kNoCall) {
    if (announced) held_.push_back(c);
    return Release(events);
  }
  if (!announced && IsCall(done)) {
    if (std::find(names_.begin(), names_.end(), object_.name()) == names_.end()) {
      return Release(events);
    }
    Add(ToolEvent::kCall, num_calls_++, object_.name(), events);
    held_.clear();
  }
  if (held_.empty()) {
    Add(ToolEvent::kArguments, num_calls_ - 1, object_.TakeArguments(), events);
    if (done && !object_.has_arguments()) {
      Add(ToolEvent::kArguments, num_calls_ - 1, "{}", events);
    }
  }
  if (!done) return;
  state_ = State::kAfterObject;
  tag_ = 0;
}

void ToolCallParser::TakeAfterObject(char c, std::vector<ToolEvent>& events) {
  held_.push_back(c);
  if (tag_ == 0 && IsSpace(c)) return;
  if (syntax_ == ToolCallSyntax::kHermes) {
    if (c != kCloseTag[tag_]) return Release(events);
    if (++tag_ < kCloseTag.size()) return;
    held_.clear();
    tag_ = 0;
    state_ = State::kContent;
    return;
  }
  if (c == '{') {
    held_.assign(1, c);
    return BeginObject();
  }
  const bool array = syntax_ == ToolCallSyntax::kJsonArray;
  if (c == (array ? ',' : ';') || (array && c == ']')) {
    held_.clear();
  } else {
    Release(events);
  }
}

void ToolCallParser::Finish(std::vector<ToolEvent>& events) {
  const bool only_space = std::all_of(held_.begin(), held_.end(), IsSpace);
  const bool content = syntax_ != ToolCallSyntax::kJsonArray && (!only_space || num_calls_ == 0);
  if (content) Add(ToolEvent::kContent, 0, held_, events);
  held_.clear();
}

}  // namespace regatta
