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

// loop(items) of a recursive loop.
class Interpreter::LoopCall final : public Callable {
 public:
  LoopCall(Interpreter& interpreter, const ForStatement& statement, Scope* around, int nesting)
      : Callable(1),
        interpreter_(interpreter),
        statement_(statement),
        around_(around),
        nesting_(nesting) {}

  absl::StatusOr<Value> Call(Runtime&, const Arguments& arguments) const override {
    return interpreter_.CallLoop(statement_, around_, nesting_, arguments);
  }

 private:
  Interpreter& interpreter_;
  const ForStatement& statement_;
  Scope* const around_;  // kept as long as the interpreter
  const int nesting_;
};

Interpreter::Scope* Interpreter::CapturedScope() {
  for (Scope* scope = scope_; scope != nullptr && !scope->captured; scope = scope->parent) {
    scope->captured = true;
  }
  return scope_;
}

Value Interpreter::NewMacro(const MacroCode& code) {
  return Value(std::make_shared<const Macro>(*this, code, CapturedScope()));
}

std::shared_ptr<const Callable> Interpreter::NewLoopCall(const ForStatement& statement,
                                                         int nesting) {
  return std::make_shared<const LoopCall>(*this, statement, CapturedScope(), nesting);
}

absl::StatusOr<Value> Interpreter::CallLoop(const ForStatement& statement, Scope* around,
                                            int nesting, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Bound bound, Bound::Make("loop", arguments, {"iterable"}, 1));
  const Entered entered(*this, around);
  std::string text;
  std::string* const before = std::exchange(out_, &text);
  const absl::Status status = RunLoop(statement, bound.At(0), nesting);
  out_ = before;
  RETURN_IF_ERROR(status);
  return Value(std::move(text));
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
