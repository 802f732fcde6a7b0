// Filters by what they work on, and what several of them share.
#pragma once

#include <string_view>

#include "common/jinja/callable.h"

namespace regatta::jinja {

// Null when there is none of that name.
Builtin FindTextFilter(std::string_view name);
Builtin FindItemFilter(std::string_view name);    // sequences as wholes
Builtin FindChoiceFilter(std::string_view name);  // map, select, selectattr and their like

// The attribute path of filters such as sort and map: "a.b.0", or an integer.
class AttributePath {
 public:
  static absl::StatusOr<AttributePath> Make(const Value& path, Runtime& runtime);
  // Undefined when something on the path is not there; `fallback` then, when given.
  absl::StatusOr<Value> Of(const Value& object, Runtime& runtime,
                           const Value* fallback = nullptr) const;

 private:
  Values parts_;
};

}  // namespace regatta::jinja
