// Binding of arguments to parameters, and of methods to objects.
#include "common/jinja/callable.h"

#include <limits>
#include <memory>

#include "common/check.h"
#include "common/jinja/errors.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

class BoundMethod : public Callable {
 public:
  BoundMethod(Builtin method, Value subject)
      : Callable(1 + subject.Depth()), method_(method), subject_(std::move(subject)) {}
  absl::StatusOr<Value> Call(Runtime& runtime, const Arguments& arguments) const override {
    return method_(runtime, subject_, arguments);
  }

 private:
  const Builtin method_;
  const Value subject_;
};

}  // namespace

const Value* Arguments::Named(std::string_view name) const {
  for (const auto& [key, value] : named) {
    if (*key == name) return &value;
  }
  return nullptr;
}

absl::StatusOr<Bound> Bound::Make(std::string_view callee, const Arguments& arguments,
                                  std::initializer_list<const char*> parameters, size_t required) {
  CHECK(parameters.size() <= kMaxParameters) << callee;
  Bound bound;
  bound.callee_ = callee;
  if (arguments.positional.size() > parameters.size()) {
    return Error(callee, "() takes at most ", std::to_string(parameters.size()), " arguments, got ",
                 std::to_string(arguments.positional.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    bound.values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    size_t i = 0;
    while (i < parameters.size() && *name != parameters.begin()[i]) ++i;
    if (i == parameters.size()) return Error(callee, "() has no argument '", *name, "'");
    if (bound.values_[i] != nullptr) return Error(callee, "() got '", *name, "' twice");
    bound.values_[i] = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound.values_[i] == nullptr) {
      return Error(callee, "() lacks its argument '", parameters.begin()[i], "'");
    }
  }
  return bound;
}

absl::StatusOr<int64_t> Bound::Int(size_t i, int64_t fallback) const {
  if (!Has(i)) return fallback;
  if (!At(i).IsIntegral()) {
    return Error(callee_, "() takes an integer, not '", At(i).TypeName(), "'");
  }
  Integer value = At(i).integer();
  if (value > std::numeric_limits<int64_t>::max() || value < std::numeric_limits<int64_t>::min()) {
    return Error(callee_, "() got an integer beyond 64 bits");
  }
  return static_cast<int64_t>(value);
}

absl::StatusOr<std::string_view> Bound::String(size_t i, std::string_view fallback) const {
  if (!Has(i)) return fallback;
  if (!At(i).IsString()) {
    return Error(callee_, "() takes a string, not '", At(i).TypeName(), "'");
  }
  return At(i).string();
}

absl::StatusOr<Value> BindMethod(Builtin method, const Value& subject) {
  RETURN_IF_ERROR(CheckDepth(1 + subject.Depth()));
  return Value(std::make_shared<const BoundMethod>(method, subject));
}

}  // namespace regatta::jinja
