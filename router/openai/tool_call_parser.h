// ToolCallParser: a model's output taken apart into text for people and calls of tools, while it
// arrives. Knows neither JSON documents nor requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"
#include "router/openai/call_object.h"

namespace regatta {

// How a model writes calls.
enum class ToolCallSyntax {
  kNone,       // in no way that we know
  kLlamaJson,  // Llama 3.1: the whole output is {"name": ..., "parameters": {...}}, maybe after
               // <|python_tag|>, maybe several with ';' between them
  kHermes,     // Hermes, Qwen: text with <tool_call>{"name": ..., "arguments": {...}}</tool_call>
  kJsonArray,  // what a schema of ours forces (tool_choice "required"): an array of such objects
};

// "auto" looks at the tokens that the model was given for calls; otherwise "llama3_json", "hermes"
// or "none". INVALID_ARGUMENT names the value and those known. `tokenizer` may be null.
absl::StatusOr<ToolCallSyntax> ChooseToolCallSyntax(std::string_view option,
                                                    const Tokenizer* tokenizer);

// Opens a call in kHermes.
inline constexpr std::string_view kToolCallTag = "<tool_call>";

struct ToolEvent {
  enum Kind { kContent, kCall, kArguments };
  Kind kind;
  uint32_t call = 0;  // index of the call, for kCall and kArguments
  std::string text;   // content, the tool's name, or more of the arguments' JSON
};

// What is no call of a tool in `names` is content, whole. Once a call has been announced its
// arguments come as they are written; what follows a call that breaks off is content. In
// kJsonArray, which a schema keeps, a call is announced as soon as its name is complete, and the
// beginning of one that ends before is nobody's. One pass, no going back: time is linear in the
// text, and the events do not depend on where it is cut.
class ToolCallParser {
 public:
  // `names` must outlive the parser.
  ToolCallParser(ToolCallSyntax syntax, const std::vector<std::string>& names);

  // Events that `text` completes, appended to `events`; ones of a kind are joined.
  void Append(std::string_view text, std::vector<ToolEvent>& events);
  // The output is complete: what was held back as the beginning of a call is content, but for
  // kJsonArray.
  void Finish(std::vector<ToolEvent>& events);

  uint32_t num_calls() const { return num_calls_; }

 private:
  enum class State { kStart, kContent, kBeforeObject, kObject, kAfterObject };

  void Take(char c, std::vector<ToolEvent>& events);
  void TakeAtStart(char c, std::vector<ToolEvent>& events);
  void TakeContent(char c, std::vector<ToolEvent>& events);
  void TakeBeforeObject(char c, std::vector<ToolEvent>& events);
  void TakeObject(char c, std::vector<ToolEvent>& events);
  void TakeAfterObject(char c, std::vector<ToolEvent>& events);
  void BeginObject();
  // Gives what is held back as content, then goes on as in content.
  void Release(std::vector<ToolEvent>& events);

  // What has been read of the object makes it a call, if a tool has its name.
  bool IsCall(bool done) const;

  const ToolCallSyntax syntax_;
  const std::vector<std::string>& names_;
  State state_;
  std::string held_;  // read, but neither shown nor part of an announced call
  size_t tag_ = 0;    // characters matched of the tag that may be at the end of held_
  CallObject object_;
  uint32_t num_calls_ = 0;
};

}  // namespace regatta
