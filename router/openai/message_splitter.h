// MessageSplitter: the output of one choice of a chat as content and calls of tools, by what its
// request said of tools.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/openai/tool_call_parser.h"

namespace regatta {

struct ToolUse {
  ToolCallSyntax syntax = ToolCallSyntax::kNone;
  std::vector<std::string> names;
  std::optional<std::string> forced;  // the whole output is the arguments of this tool
  bool parallel = true;               // false: calls after the first are dropped

  // Output may hold calls.
  bool any() const { return forced || syntax != ToolCallSyntax::kNone; }
};

class MessageSplitter {
 public:
  // `use` must outlive this.
  explicit MessageSplitter(const ToolUse& use) : use_(use), parser_(use.syntax, use.names) {}

  // Events that `text` completes; with `last`, also what was held back.
  std::vector<ToolEvent> Split(std::string_view text, bool last);

  bool called() const { return called_; }

 private:
  const ToolUse& use_;
  ToolCallParser parser_;
  bool called_ = false;
};

}  // namespace regatta
