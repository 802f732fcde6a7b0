// Forced calls need no parsing: a schema made them.
#include "router/openai/message_splitter.h"

#include <algorithm>

namespace regatta {

std::vector<ToolEvent> MessageSplitter::Split(std::string_view text, bool last) {
  std::vector<ToolEvent> events;
  if (use_.forced) {
    if (!called_ && (last || !text.empty())) {
      events.push_back({.kind = ToolEvent::kCall, .call = 0, .text = *use_.forced});
    }
    if (!text.empty()) {
      events.push_back({.kind = ToolEvent::kArguments, .call = 0, .text = std::string(text)});
    }
  } else {
    parser_.Append(text, events);
    if (last) parser_.Finish(events);
  }
  if (!use_.parallel) {
    std::erase_if(events, [](const ToolEvent& event) { return event.call > 0; });
  }
  called_ |= std::any_of(events.begin(), events.end(),
                         [](const ToolEvent& event) { return event.kind == ToolEvent::kCall; });
  return events;
}

}  // namespace regatta
