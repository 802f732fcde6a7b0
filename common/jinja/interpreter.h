// Interpreter: one rendering of a program. Names are looked up in the scopes around, which macros
// keep alive, then among the variables, then among the functions of every template.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/jinja/ast.h"
#include "common/jinja/runtime.h"

namespace regatta::jinja {

class Interpreter {
 public:
  // `program` and `runtime` must outlive every value made here.
  Interpreter(const Program& program, const Dict& variables, Runtime& runtime);

  // The text of the whole template. Called once.
  absl::StatusOr<std::string> Render();

 private:
  class Macro;
  class LoopCall;

  // Statements and expressions within each other while rendering, macros called included: bounds
  // the stack.
  static constexpr int kMaxNesting = 1000;
  class Nesting;

  enum class Flow { kNext, kBreak, kContinue };

  struct Scope {
    Scope* parent = nullptr;
    bool captured = false;  // by a macro, which may outlive the block
    std::vector<std::pair<NameId, Value>> names;
  };
  // A scope within the current one, while it lives.
  class Entered;

  // Names (interpreter_names.cc).
  Value Lookup(NameId name) const;
  void Set(NameId name, Value value);
  absl::Status Assign(const Target& target, Value value);
  absl::Status AssignAttribute(const Target& target, Value value);

  // Statements (interpreter.cc).
  absl::StatusOr<Flow> Execute(const Block& block);
  absl::StatusOr<Flow> ExecuteOne(const Statement& statement);
  // The text of `block` in a scope of its own.
  absl::StatusOr<std::string> Capture(const Block& block);
  absl::Status Print(const Value& value);
  absl::StatusOr<Flow> Run(const TextStatement& statement);
  absl::StatusOr<Flow> Run(const PrintStatement& statement);
  absl::StatusOr<Flow> Run(const IfStatement& statement);
  absl::StatusOr<Flow> Run(const ForStatement& statement);
  absl::StatusOr<Flow> Run(const SetStatement& statement);
  absl::StatusOr<Flow> Run(const SetBlockStatement& statement);
  absl::StatusOr<Flow> Run(const MacroStatement& statement);
  absl::StatusOr<Flow> Run(const CallStatement& statement);
  absl::StatusOr<Flow> Run(const FilterStatement& statement);
  absl::StatusOr<Flow> Run(const ScopeStatement& statement);
  absl::StatusOr<Flow> Run(const BreakStatement&) { return Flow::kBreak; }
  absl::StatusOr<Flow> Run(const ContinueStatement&) { return Flow::kContinue; }
  absl::Status RunLoop(const ForStatement& statement, const Value& iterable, int nesting);
  absl::StatusOr<Values> ItemsOf(const ForStatement& statement, const Value& iterable);

  // Macros and loop(items) (interpreter_macros.cc).
  Scope* CapturedScope();
  Value NewMacro(const MacroCode& code);
  std::shared_ptr<const Callable> NewLoopCall(const ForStatement& statement, int nesting);
  absl::StatusOr<Value> CallLoop(const ForStatement& statement, Scope* around, int nesting,
                                 const Arguments& arguments);
  absl::StatusOr<Value> CallMacro(const MacroCode& code, Scope* around, const Arguments& arguments);
  absl::Status BindParameters(const MacroCode& code, const Arguments& arguments);
  absl::Status BindRest(const MacroCode& code, const Arguments& arguments);

  // Expressions (interpreter_expressions.cc). Errors name the place.
  absl::StatusOr<Value> Evaluate(const Expression& expression);
  // Null is None.
  absl::StatusOr<Value> EvaluateOrNone(const ExpressionPtr& expression);
  absl::StatusOr<Value> FilterText(const Expression& filtered, std::string text);
  absl::StatusOr<Arguments> EvaluateArguments(const CallArguments& arguments);
  absl::Status AddUnpacked(const CallArguments& arguments, Arguments& values);
  absl::StatusOr<Value> Call(const Value& callee, const Arguments& arguments, Position at);
  absl::StatusOr<Value> Eval(const ConstantExpression& node, Position at);
  absl::StatusOr<Value> Eval(const NameExpression& node, Position at);
  absl::StatusOr<Value> Eval(const AttributeExpression& node, Position at);
  absl::StatusOr<Value> Eval(const ItemExpression& node, Position at);
  absl::StatusOr<Value> Eval(const SliceExpression& node, Position at);
  absl::StatusOr<Value> Eval(const CallExpression& node, Position at);
  absl::StatusOr<Value> Eval(const BuiltinExpression& node, Position at);
  absl::StatusOr<Value> Eval(const UnaryExpression& node, Position at);
  absl::StatusOr<Value> Eval(const BinaryExpression& node, Position at);
  absl::StatusOr<Value> Eval(const LogicalExpression& node, Position at);
  absl::StatusOr<Value> Eval(const CompareExpression& node, Position at);
  absl::StatusOr<Value> Eval(const ConcatExpression& node, Position at);
  absl::StatusOr<Value> Eval(const ConditionalExpression& node, Position at);
  absl::StatusOr<Value> Eval(const SequenceExpression& node, Position at);
  absl::StatusOr<Value> Eval(const DictExpression& node, Position at);
  absl::StatusOr<Value> Eval(const BlockTextExpression& node, Position at);

  const Program& program_;
  Runtime& runtime_;
  std::vector<std::optional<Value>>
      root_;                // by name: variables, and what the template sets outside
  Scope* scope_ = nullptr;  // null: the root
  std::vector<std::unique_ptr<Scope>> kept_;  // captured, and left
  std::string* out_ = nullptr;
  std::string block_text_;  // what BlockTextExpression is
  int nesting_ = 0;
};

// One level of nesting while it lives.
class Interpreter::Nesting {
 public:
  explicit Nesting(Interpreter& interpreter) : depth_(interpreter.nesting_) { ++depth_; }
  ~Nesting() { --depth_; }
  absl::Status Check(Position at) const;

 private:
  int& depth_;
};

class Interpreter::Entered {
 public:
  explicit Entered(Interpreter& interpreter) : Entered(interpreter, interpreter.scope_) {}
  // A macro's scope is within the one where the macro was made.
  Entered(Interpreter& interpreter, Scope* around)
      : interpreter_(interpreter), before_(interpreter.scope_), scope_(std::make_unique<Scope>()) {
    scope_->parent = around;
    interpreter.scope_ = scope_.get();
  }
  ~Entered() {
    interpreter_.scope_ = before_;
    if (scope_->captured) interpreter_.kept_.push_back(std::move(scope_));
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  Interpreter& interpreter_;
  Scope* const before_;
  std::unique_ptr<Scope> scope_;
};

}  // namespace regatta::jinja
