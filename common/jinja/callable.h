// What a template can call: arguments of a call, their binding to parameters, and the objects that
// take them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/jinja/runtime.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

struct Arguments {
  Values positional;
  std::vector<std::pair<StringPtr, Value>> named;

  // The named one, or null.
  const Value* Named(std::string_view name) const;
};

// A filter, test or method: `subject` is what it is applied to.
using Builtin = absl::StatusOr<Value> (*)(Runtime& runtime, const Value& subject,
                                          const Arguments& arguments);

// A row of a table of builtins.
struct NamedBuiltin {
  const char* name;
  Builtin function;
};
// Null when no row has that name.
template <size_t N>
Builtin FindIn(const NamedBuiltin (&rows)[N], std::string_view name) {
  for (const NamedBuiltin& row : rows) {
    if (name == row.name) return row.function;
  }
  return nullptr;
}

// Arguments by parameter. A view: the arguments must outlive it.
class Bound {
 public:
  // The first `required` of `parameters` must be given, and nothing beyond them.
  static absl::StatusOr<Bound> Make(std::string_view callee, const Arguments& arguments,
                                    std::initializer_list<const char*> parameters,
                                    size_t required = 0);

  bool Has(size_t i) const { return values_[i] != nullptr; }
  bool HasValue(size_t i) const { return Has(i) && !values_[i]->IsNone(); }  // and not None
  const Value& At(size_t i) const { return *values_[i]; }
  bool Truthy(size_t i) const { return Has(i) && values_[i]->Truthy(); }
  // The argument, which must be of that type, or `fallback` when it is absent.
  absl::StatusOr<int64_t> Int(size_t i, int64_t fallback) const;
  absl::StatusOr<std::string_view> String(size_t i, std::string_view fallback) const;

 private:
  static constexpr size_t kMaxParameters = 6;
  std::string_view callee_;
  std::array<const Value*, kMaxParameters> values_ = {};
};

// Functions, bound methods and macros.
class Callable {
 public:
  explicit Callable(int depth) : depth_(depth) {}
  virtual ~Callable() = default;
  virtual absl::StatusOr<Value> Call(Runtime& runtime, const Arguments& arguments) const = 0;
  int depth() const { return depth_; }

 private:
  const int depth_;
};

// `subject.method`, not called yet.
absl::StatusOr<Value> BindMethod(Builtin method, const Value& subject);

// The function `name` of every template (range, namespace, ...); nothing when there is none.
std::optional<Value> FindGlobal(std::string_view name);
// Null when there is none.
Builtin FindFilter(std::string_view name);
Builtin FindTest(std::string_view name);

// The methods of one name, by type of the object.
struct Methods {
  Builtin of_string = nullptr;
  Builtin of_dict = nullptr;
  Builtin of_sequence = nullptr;
  Builtin of_loop = nullptr;
  bool changes_dict = false;  // Python has it, the sandbox refuses it
  bool changes_list = false;
};
Methods FindMethods(std::string_view name);

}  // namespace regatta::jinja
