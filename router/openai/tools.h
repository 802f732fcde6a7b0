// The tools of a chat request and how the model may use them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "router/openai/request_fields.h"
#include "router/openai/schema_place.h"

namespace regatta {

inline constexpr size_t kMaxTools = 128;
inline constexpr size_t kMaxToolNameBytes = 64;

struct Tools {
  enum Choice {
    kNone,      // no tools, or they must not be used: the prompt does not show them
    kAuto,      // as the model likes
    kRequired,  // at least one call, of any tool
    kNamed,     // one call of the tool `forced`
  };
  Choice choice = kNone;
  const OrderedJson* definitions = nullptr;  // within the request; null = none
  std::vector<std::string> names;            // in the same order
  size_t forced = 0;
  bool parallel = true;  // more than one call may come
};

// Reads tools, tool_choice and parallel_tool_calls; errors go to `fields`.
Tools ReadTools(RequestFields& fields);

// Whether a tool or schema may be called so: letters, digits, '_' and '-', at most 64.
bool IsToolName(std::string_view name);

// The JSON Schema of output that a forced call must have: the arguments themselves for kNamed; for
// kRequired an array of {"name", "parameters"}, where references within a tool's parameters stay
// within them.
std::string ForcedCallSchema(const Tools& tools);
// Which parts of that schema are whose parameters.
std::vector<SchemaPlace> ForcedCallPlaces(const Tools& tools);

}  // namespace regatta
