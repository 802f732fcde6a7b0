// Expressions; see interpreter.h.
#include "common/jinja/errors.h"
#include "common/jinja/interpreter.h"
#include "common/jinja/operators.h"
#include "common/jinja/print.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

template <typename T>
absl::StatusOr<Value> Located(absl::StatusOr<T> result, Position at) {
  if (!result.ok()) return At(at, result.status());
  return Value(*std::move(result));
}

}  // namespace

absl::StatusOr<Value> Interpreter::Evaluate(const Expression& expression) {
  const Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check(expression.at));
  const absl::Status status = runtime_.Spend(1);
  if (!status.ok()) return At(expression.at, status);
  return std::visit([&](const auto& node) { return Eval(node, expression.at); }, expression.node);
}

absl::StatusOr<Value> Interpreter::EvaluateOrNone(const ExpressionPtr& expression) {
  if (expression == nullptr) return Value(None());
  return Evaluate(*expression);
}

absl::StatusOr<Value> Interpreter::FilterText(const Expression& filtered, std::string text) {
  std::string before = std::exchange(block_text_, std::move(text));
  absl::StatusOr<Value> value = Evaluate(filtered);
  block_text_ = std::move(before);
  return value;
}

absl::StatusOr<Value> Interpreter::Eval(const ConstantExpression& node, Position) {
  return node.value;
}

absl::StatusOr<Value> Interpreter::Eval(const NameExpression& node, Position) {
  return Lookup(node.name);
}

absl::StatusOr<Value> Interpreter::Eval(const AttributeExpression& node, Position at) {
  ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object));
  return Located(GetAttribute(object, node.name, node.methods, runtime_), at);
}

absl::StatusOr<Value> Interpreter::Eval(const ItemExpression& node, Position at) {
  ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object));
  ASSIGN_OR_RETURN(const Value index, Evaluate(*node.index));
  return Located(GetItem(object, index, runtime_), at);
}

absl::StatusOr<Value> Interpreter::Eval(const SliceExpression& node, Position at) {
  ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object));
  ASSIGN_OR_RETURN(const Value start, EvaluateOrNone(node.start));
  ASSIGN_OR_RETURN(const Value stop, EvaluateOrNone(node.stop));
  ASSIGN_OR_RETURN(const Value step, EvaluateOrNone(node.step));
  return Located(Slice(object, start, stop, step, runtime_), at);
}

absl::StatusOr<Arguments> Interpreter::EvaluateArguments(const CallArguments& arguments) {
  Arguments values;
  values.positional.reserve(arguments.positional.size());
  for (const ExpressionPtr& one : arguments.positional) {
    ASSIGN_OR_RETURN(Value value, Evaluate(*one));
    values.positional.push_back(std::move(value));
  }
  for (const auto& [name, one] : arguments.named) {
    ASSIGN_OR_RETURN(Value value, Evaluate(*one));
    values.named.emplace_back(name, std::move(value));
  }
  RETURN_IF_ERROR(AddUnpacked(arguments, values));
  return values;
}

// *x and **x.
absl::Status Interpreter::AddUnpacked(const CallArguments& arguments, Arguments& values) {
  if (arguments.more_positional != nullptr) {
    ASSIGN_OR_RETURN(const Value more, Evaluate(*arguments.more_positional));
    absl::StatusOr<Values> items = Iterate(more, runtime_);
    if (!items.ok()) return At(arguments.more_positional->at, items.status());
    for (Value& item : *items) values.positional.push_back(std::move(item));
  }
  if (arguments.more_named == nullptr) return absl::OkStatus();
  const Position at = arguments.more_named->at;
  ASSIGN_OR_RETURN(const Value more, Evaluate(*arguments.more_named));
  if (!more.IsDict()) return At(at, Error("argument after ** must be a mapping"));
  RETURN_IF_ERROR(runtime_.Spend(more.dict().size()));
  for (const auto& [key, value] : more.dict().items()) {
    if (!key.IsString()) return At(at, Error("keywords must be strings"));
    if (values.Named(key.string()) != nullptr) {
      return At(at, Error("got multiple values for keyword argument '", key.string(), "'"));
    }
    values.named.emplace_back(key.string_ptr(), value);
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::Call(const Value& callee, const Arguments& arguments,
                                        Position at) {
  if (callee.IsUndefined()) return At(at, Error(callee.undefined().Message()));
  if (callee.kind() == Kind::kLoop && callee.loop().recurse != nullptr) {
    return Located(callee.loop().recurse->Call(runtime_, arguments), at);
  }
  if (callee.kind() != Kind::kCallable) {
    return At(at, Error("'", callee.TypeName(), "' object is not callable"));
  }
  return Located(callee.callable().Call(runtime_, arguments), at);
}

absl::StatusOr<Value> Interpreter::Eval(const CallExpression& node, Position at) {
  ASSIGN_OR_RETURN(const Value callee, Evaluate(*node.callee));
  ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(node.arguments));
  return Call(callee, arguments, at);
}

absl::StatusOr<Value> Interpreter::Eval(const BuiltinExpression& node, Position at) {
  if (node.function == nullptr) {
    return At(at, Error("No ", node.is_filter ? "filter" : "test", " named '", node.name, "'."));
  }
  ASSIGN_OR_RETURN(const Value subject, Evaluate(*node.subject));
  ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(node.arguments));
  return Located(node.function(runtime_, subject, arguments), at);
}

absl::StatusOr<Value> Interpreter::Eval(const UnaryExpression& node, Position at) {
  ASSIGN_OR_RETURN(const Value operand, Evaluate(*node.operand));
  if (node.op == UnaryExpression::Op::kNot) return Value(!operand.Truthy());
  if (node.op == UnaryExpression::Op::kNegate) return Located(Negate(operand), at);
  if (operand.kind() == Kind::kFloat) return operand;
  if (operand.IsIntegral()) return Value(operand.integer());
  if (operand.IsUndefined()) return At(at, Error(operand.undefined().Message()));
  return At(at, Error("bad operand type for unary +: '", operand.TypeName(), "'"));
}

absl::StatusOr<Value> Interpreter::Eval(const BinaryExpression& node, Position at) {
  ASSIGN_OR_RETURN(const Value left, Evaluate(*node.left));
  ASSIGN_OR_RETURN(const Value right, Evaluate(*node.right));
  return Located(Calculate(node.op, left, right, runtime_), at);
}

absl::StatusOr<Value> Interpreter::Eval(const LogicalExpression& node, Position) {
  ASSIGN_OR_RETURN(Value left, Evaluate(*node.left));
  if (left.Truthy() != node.is_and) return left;
  return Evaluate(*node.right);
}

absl::StatusOr<Value> Interpreter::Eval(const CompareExpression& node, Position at) {
  ASSIGN_OR_RETURN(Value left, Evaluate(*node.first));
  for (const auto& [op, expression] : node.rest) {
    ASSIGN_OR_RETURN(Value right, Evaluate(*expression));
    const absl::StatusOr<bool> holds = Compare(op, left, right, runtime_);
    if (!holds.ok()) return At(at, holds.status());
    if (!*holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

absl::StatusOr<Value> Interpreter::Eval(const ConcatExpression& node, Position at) {
  std::string text;
  for (const ExpressionPtr& part : node.parts) {
    ASSIGN_OR_RETURN(const Value value, Evaluate(*part));
    const absl::Status status = AppendStr(value, runtime_, text);
    if (!status.ok()) return At(at, status);
  }
  return Value(std::move(text));
}

absl::StatusOr<Value> Interpreter::Eval(const ConditionalExpression& node, Position) {
  static const StringPtr kMissing = std::make_shared<const std::string>(
      "the inline if-expression evaluated to false and no else section was defined");
  ASSIGN_OR_RETURN(const Value condition, Evaluate(*node.condition));
  if (condition.Truthy()) return Evaluate(*node.then);
  if (node.otherwise == nullptr) return Value(Undefined{.text = kMissing, .is_message = true});
  return Evaluate(*node.otherwise);
}

absl::StatusOr<Value> Interpreter::Eval(const SequenceExpression& node, Position at) {
  Values items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& one : node.items) {
    ASSIGN_OR_RETURN(Value item, Evaluate(*one));
    items.push_back(std::move(item));
  }
  return Located(runtime_.NewSequence(node.type, std::move(items)), at);
}

absl::StatusOr<Value> Interpreter::Eval(const DictExpression& node, Position at) {
  Dict dict;
  for (const auto& [key_expression, value_expression] : node.items) {
    ASSIGN_OR_RETURN(Value key, Evaluate(*key_expression));
    ASSIGN_OR_RETURN(Value value, Evaluate(*value_expression));
    if (!IsHashable(key)) return At(at, Error("unhashable type: '", key.TypeName(), "'"));
    const absl::Status status = runtime_.SpendInsertion(dict.size());
    if (!status.ok()) return At(at, status);
    dict.Set(std::move(key), std::move(value));
  }
  return Located(runtime_.NewDict(std::move(dict)), at);
}

absl::StatusOr<Value> Interpreter::Eval(const BlockTextExpression&, Position) {
  return Value(block_text_);
}

}  // namespace regatta::jinja
