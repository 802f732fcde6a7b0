// Statements; see interpreter.h.
#include "common/jinja/interpreter.h"

#include "common/jinja/errors.h"
#include "common/jinja/print.h"
#include "common/status_macros.h"

namespace regatta::jinja {

Interpreter::Interpreter(const Program& program, const Dict& variables, Runtime& runtime)
    : program_(program), runtime_(runtime), root_(program.names.size()) {
  for (size_t id = 0; id < program.names.size(); ++id) {
    const Value* found = variables.Find(std::string_view(*program.names[id]));
    if (found != nullptr) root_[id] = *found;
  }
}

absl::StatusOr<std::string> Interpreter::Render() {
  std::string text;
  out_ = &text;
  RETURN_IF_ERROR(Execute(program_.body).status());
  return text;
}

absl::Status Interpreter::Nesting::Check(Position at) const {
  if (depth_ <= kMaxNesting) return absl::OkStatus();
  return At(at, absl::ResourceExhaustedError(
                    Concat("rendering nests more than ", std::to_string(kMaxNesting), " deep")));
}

absl::StatusOr<Interpreter::Flow> Interpreter::Execute(const Block& block) {
  for (const Statement& statement : block) {
    ASSIGN_OR_RETURN(const Flow flow, ExecuteOne(statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::ExecuteOne(const Statement& statement) {
  const Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check(statement.at));
  if (const absl::Status status = runtime_.Spend(1); !status.ok()) return At(statement.at, status);
  return std::visit([this](const auto& node) { return Run(node); }, statement.node);
}

absl::StatusOr<std::string> Interpreter::Capture(const Block& block) {
  std::string text;
  std::string* const before = std::exchange(out_, &text);
  const Entered entered(*this);
  const absl::Status status = Execute(block).status();
  out_ = before;
  RETURN_IF_ERROR(status);
  return text;
}

absl::Status Interpreter::Print(const Value& value) { return AppendStr(value, runtime_, *out_); }

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const TextStatement& statement) {
  RETURN_IF_ERROR(runtime_.SpendAppend(out_->size(), statement.text.size()));
  *out_ += statement.text;
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const PrintStatement& statement) {
  ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.value));
  const absl::Status status = Print(value);
  if (!status.ok()) return At(statement.value->at, status);
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const IfStatement& statement) {
  for (const auto& [condition, block] : statement.branches) {
    ASSIGN_OR_RETURN(const Value value, Evaluate(*condition));
    if (value.Truthy()) return Execute(block);
  }
  return Execute(statement.otherwise);
}

// Those that pass the condition.
absl::StatusOr<Values> Interpreter::ItemsOf(const ForStatement& statement, const Value& iterable) {
  absl::StatusOr<Values> items = Iterate(iterable, runtime_);
  if (!items.ok()) return At(statement.items->at, items.status());
  if (statement.condition == nullptr) return items;
  Values passed;
  for (Value& item : *items) {
    const Entered entered(*this);
    RETURN_IF_ERROR(Assign(statement.target, item));
    ASSIGN_OR_RETURN(const Value pass, Evaluate(*statement.condition));
    if (pass.Truthy()) passed.push_back(std::move(item));
  }
  return passed;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const ForStatement& statement) {
  ASSIGN_OR_RETURN(const Value iterable, Evaluate(*statement.items));
  RETURN_IF_ERROR(RunLoop(statement, iterable, /*nesting=*/0));
  return Flow::kNext;
}

// Every turn has a scope of its own: what it sets is gone in the next.
absl::Status Interpreter::RunLoop(const ForStatement& statement, const Value& iterable,
                                  int nesting) {
  const auto loop = std::make_shared<Loop>();
  ASSIGN_OR_RETURN(loop->items, ItemsOf(statement, iterable));
  loop->nesting = nesting;
  loop->depth = DepthAbove(loop->items);
  RETURN_IF_ERROR(CheckDepth(loop->depth));
  if (loop->items.empty()) {
    const Entered entered(*this);
    return Execute(statement.otherwise).status();
  }
  if (statement.recursive) loop->recurse = NewLoopCall(statement, nesting + 1);
  for (size_t i = 0; i < loop->items.size(); ++i) {
    const Entered entered(*this);
    loop->index0 = i;
    Set(kLoopName, Value(loop));
    RETURN_IF_ERROR(Assign(statement.target, loop->items[i]));
    ASSIGN_OR_RETURN(const Flow flow, Execute(statement.body));
    if (flow == Flow::kBreak) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const SetStatement& statement) {
  ASSIGN_OR_RETURN(Value value, Evaluate(*statement.value));
  RETURN_IF_ERROR(Assign(statement.target, std::move(value)));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const SetBlockStatement& statement) {
  ASSIGN_OR_RETURN(std::string text, Capture(statement.body));
  ASSIGN_OR_RETURN(Value value, FilterText(*statement.filtered, std::move(text)));
  RETURN_IF_ERROR(Assign(statement.target, std::move(value)));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const MacroStatement& statement) {
  Set(statement.name, NewMacro(statement.macro));
  return Flow::kNext;
}

// The caller is one more named argument of the call.
absl::StatusOr<Interpreter::Flow> Interpreter::Run(const CallStatement& statement) {
  static const StringPtr kCaller = std::make_shared<const std::string>("caller");
  const auto& call = std::get<CallExpression>(statement.call->node);
  ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.callee));
  ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments));
  arguments.named.emplace_back(kCaller, NewMacro(statement.caller));
  ASSIGN_OR_RETURN(const Value text, Call(callee, arguments, statement.call->at));
  RETURN_IF_ERROR(Print(text));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Run(const FilterStatement& statement) {
  ASSIGN_OR_RETURN(std::string text, Capture(statement.body));
  ASSIGN_OR_RETURN(const Value value, FilterText(*statement.filtered, std::move(text)));
  RETURN_IF_ERROR(Print(value));
  return Flow::kNext;
}

// Values are those outside, whatever the statement sets before them.
absl::StatusOr<Interpreter::Flow> Interpreter::Run(const ScopeStatement& statement) {
  Values values;
  for (const auto& [target, expression] : statement.assignments) {
    ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    values.push_back(std::move(value));
  }
  const Entered entered(*this);
  for (size_t i = 0; i < values.size(); ++i) {
    RETURN_IF_ERROR(Assign(statement.assignments[i].first, std::move(values[i])));
  }
  return Execute(statement.body);
}

}  // namespace regatta::jinja
