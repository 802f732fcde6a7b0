// Template: a parsed Jinja template. The entrance to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/jinja/runtime.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

struct Program;

inline constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

// What transformers renders chat templates with: Jinja 3 without inheritance and includes, blocks
// trimmed, in a sandbox that changes nothing but namespaces. Immutable, shared between threads.
class Template {
 public:
  // INVALID_ARGUMENT names line and column, or the limit of kMaxTemplateBytes. Ill-formed UTF-8
  // counts as U+FFFD.
  static absl::StatusOr<Template> Parse(std::string_view source);
  Template(Template&&) noexcept;
  ~Template();

  // `variables` are what names mean at first; `now_s` is Unix time for strftime_now.
  // INVALID_ARGUMENT: the template failed, or raised an exception; RESOURCE_EXHAUSTED: a limit.
  absl::StatusOr<std::string> Render(const Dict& variables, const Limits& limits,
                                     int64_t now_s) const;

 private:
  explicit Template(std::unique_ptr<const Program> program);
  std::unique_ptr<const Program> program_;
};

// JSON as Python's json.loads makes it, keys in their order. INVALID_ARGUMENT: nested too deeply.
absl::StatusOr<Value> FromJson(const nlohmann::ordered_json& json);

}  // namespace regatta::jinja
