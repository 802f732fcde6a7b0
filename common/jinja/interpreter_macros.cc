// Macros and the bodies of call blocks; see interpreter.h.
#include <algorithm>

#include "common/jinja/errors.h"
#include "common/jinja/interpreter.h"
#include "common/status_macros.h"

namespace regatta::jinja {

class Interpreter::Macro final : public Callable {
 public:
  Macro(Interpreter& interpreter, const MacroCode& code, Scope* around)
      : Callable(1), interpreter_(interpreter), code_(code), around_(around) {}

  absl::StatusOr<Value> Call(Runtime&, const Arguments& arguments) const override {
    return interpreter_.CallMacro(code_, around_, arguments);
  }

 private:
  Interpreter& interpreter_;
  const MacroCode& code_;
  Scope* const around_;  // kept as long as the interpreter
};

Value Interpreter::NewMacro(const MacroCode& code) {
  for (Scope* scope = scope_; scope != nullptr && !scope->captured; scope = scope->parent) {
    scope->captured = true;
  }
  return Value(std::make_shared<const Macro>(*this, code, scope_));
}

absl::StatusOr<Value> Interpreter::CallMacro(const MacroCode& code, Scope* around,
                                             const Arguments& arguments) {
  const Entered entered(*this, around);
  RETURN_IF_ERROR(BindParameters(code, arguments));
  RETURN_IF_ERROR(BindRest(code, arguments));
  ASSIGN_OR_RETURN(std::string text, Capture(code.body));
  return Value(std::move(text));
}

// Defaults see the parameters before them.
absl::Status Interpreter::BindParameters(const MacroCode& code, const Arguments& arguments) {
  const size_t first_default = code.parameters.size() - code.defaults.size();
  for (size_t i = 0; i < code.parameters.size(); ++i) {
    const StringPtr& name = program_.names[code.parameters[i]];
    const Value* named = arguments.Named(*name);
    Value value;
    if (i < arguments.positional.size()) {
      if (named != nullptr) return Error("macro '", code.name, "' got '", *name, "' twice");
      value = arguments.positional[i];
    } else if (named != nullptr) {
      value = *named;
    } else if (i >= first_default) {
      ASSIGN_OR_RETURN(value, Evaluate(*code.defaults[i - first_default]));
    } else {
      value = Value(Undefined{.text = std::make_shared<const std::string>(
                                  Concat("parameter '", *name, "' was not provided")),
                              .is_message = true});
    }
    Set(code.parameters[i], std::move(value));
  }
  return absl::OkStatus();
}

// What is not for parameters: varargs, kwargs and caller, for bodies that use them.
absl::Status Interpreter::BindRest(const MacroCode& code, const Arguments& arguments) {
  const size_t taken = std::min(code.parameters.size(), arguments.positional.size());
  if (code.takes_varargs) {
    ASSIGN_OR_RETURN(Value rest, runtime_.NewTuple({arguments.positional.begin() + taken,
                                                    arguments.positional.end()}));
    Set(kVarargsName, std::move(rest));
  } else if (taken < arguments.positional.size()) {
    return Error("macro '", code.name, "' takes not more than ",
                 std::to_string(code.parameters.size()), " argument(s)");
  }
  Dict rest;
  Value caller(Undefined{.text = std::make_shared<const std::string>("No caller defined"),
                         .is_message = true});
  for (const auto& [name, value] : arguments.named) {
    const auto is_it = [&, key = name](NameId id) { return *program_.names[id] == *key; };
    if (std::any_of(code.parameters.begin(), code.parameters.end(), is_it)) continue;
    if (code.takes_caller && is_it(kCallerName)) {
      caller = value;
    } else if (code.takes_kwargs) {
      RETURN_IF_ERROR(runtime_.SpendInsertion(rest.size()));
      rest.Set(Value(name), value);
    } else {
      return Error("macro '", code.name, "' takes no keyword argument '", *name, "'");
    }
  }
  if (code.takes_caller) Set(kCallerName, std::move(caller));
  if (!code.takes_kwargs) return absl::OkStatus();
  ASSIGN_OR_RETURN(Value kwargs, runtime_.NewDict(std::move(rest)));
  Set(kKwargsName, std::move(kwargs));
  return absl::OkStatus();
}

}  // namespace regatta::jinja
