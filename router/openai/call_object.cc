// The states of CallObject.
#include "router/openai/call_object.h"

#include <utility>

namespace regatta {
namespace {

constexpr size_t kMaxStringBytes = 256;  // keys, and names of tools

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool IsArgumentsKey(std::string_view key) { return key == "arguments" || key == "parameters"; }

}  // namespace

std::string CallObject::TakeArguments() { return std::exchange(arguments_, {}); }

CallObject::Result CallObject::Take(char c) {
  switch (state_) {
    case State::kBeforeKey:
      return TakeKeyStart(c);
    case State::kKey:
    case State::kText:
      return TakeString(c);
    case State::kColon:
      if (c == ':') state_ = State::kBeforeValue;
      return c == ':' || IsSpace(c) ? Result::kMore : Result::kNoCall;
    case State::kBeforeValue:
      return TakeValueStart(c);
    case State::kArguments:
      return TakeArgument(c);
    case State::kAfterValue:
      return TakeValueEnd(c);
  }
  return Result::kNoCall;
}

CallObject::Result CallObject::TakeKeyStart(char c) {
  if (IsSpace(c)) return Result::kMore;
  if (c != '"') return Result::kNoCall;
  state_ = State::kKey;
  text_.clear();
  return Result::kMore;
}

// Keys and names are plain words: one with an escape is not ours.
CallObject::Result CallObject::TakeString(char c) {
  if (c == '"') return EndString();
  if (c == '\\' || text_.size() >= kMaxStringBytes) return Result::kNoCall;
  text_.push_back(c);
  return Result::kMore;
}

CallObject::Result CallObject::EndString() {
  if (state_ == State::kKey) {
    key_ = std::exchange(text_, {});
    const bool again = (key_ == "name" && has_name_) || (IsArgumentsKey(key_) && has_arguments_);
    if (again || (key_ != "name" && key_ != "type" && !IsArgumentsKey(key_))) {
      return Result::kNoCall;
    }
    state_ = State::kColon;
    return Result::kMore;
  }
  state_ = State::kAfterValue;
  if (key_ == "type") return text_ == "function" ? Result::kMore : Result::kNoCall;
  name_ = std::exchange(text_, {});
  has_name_ = true;
  return Result::kMore;
}

CallObject::Result CallObject::TakeValueStart(char c) {
  if (IsSpace(c)) return Result::kMore;
  text_.clear();
  if (!IsArgumentsKey(key_)) {
    state_ = State::kText;
    return c == '"' ? Result::kMore : Result::kNoCall;
  }
  if (c != '{') return Result::kNoCall;
  state_ = State::kArguments;
  has_arguments_ = true;
  arguments_.assign(1, c);
  depth_ = 1;
  return Result::kMore;
}

CallObject::Result CallObject::TakeArgument(char c) {
  arguments_.push_back(c);
  if (quoted_) {
    quoted_ = escaped_ || c != '"';
    escaped_ = !escaped_ && c == '\\';
    return Result::kMore;
  }
  quoted_ = c == '"';
  if (c == '{' || c == '[') ++depth_;
  if (c == '}' || c == ']') --depth_;
  if (depth_ == 0) state_ = State::kAfterValue;
  return Result::kMore;
}

CallObject::Result CallObject::TakeValueEnd(char c) {
  if (c == '}') return has_name_ ? Result::kDone : Result::kNoCall;
  if (c == ',') state_ = State::kBeforeKey;
  return c == ',' || IsSpace(c) ? Result::kMore : Result::kNoCall;
}

}  // namespace regatta
