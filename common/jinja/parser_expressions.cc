// Expressions, by precedence from the loosest to the tightest.
#include <algorithm>
#include <memory>
#include <optional>

#include "common/jinja/errors.h"
#include "common/jinja/parser.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

int DepthOf(const ExpressionPtr& expression) {
  return expression == nullptr ? 0 : expression->depth;
}

int DepthOf(const std::vector<ExpressionPtr>& expressions) {
  int depth = 0;
  for (const ExpressionPtr& one : expressions) depth = std::max(depth, one->depth);
  return depth;
}

int DepthOf(const CallArguments& arguments) {
  int depth = std::max({DepthOf(arguments.positional), DepthOf(arguments.more_positional),
                        DepthOf(arguments.more_named)});
  for (const auto& [name, value] : arguments.named) depth = std::max(depth, value->depth);
  return depth;
}

}  // namespace

// One expression, or a tuple of several between commas.
absl::StatusOr<ExpressionPtr> Parser::ParseTuple(bool with_condition, std::string_view end_name) {
  const Position at = Peek().at;
  ASSIGN_OR_RETURN(ExpressionPtr first, ParseExpression(with_condition));
  if (!Peek().IsOperator(",")) return first;
  SequenceExpression tuple{.type = Sequence::Type::kTuple};
  tuple.items.push_back(std::move(first));
  while (TakeOperator(",")) {
    const Token& next = Peek();
    if (next.type == Type::kVariableEnd || next.type == Type::kBlockEnd || next.IsOperator(")") ||
        (!end_name.empty() && next.IsName(end_name))) {
      break;
    }
    ASSIGN_OR_RETURN(ExpressionPtr item, ParseExpression(with_condition));
    tuple.items.push_back(std::move(item));
  }
  const int depth = DepthOf(tuple.items);
  return Make(at, depth, std::move(tuple));
}

absl::StatusOr<ExpressionPtr> Parser::ParseExpression(bool with_condition) {
  Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check());
  const Position at = Peek().at;
  ASSIGN_OR_RETURN(ExpressionPtr expression, ParseOr());
  while (with_condition && TakeName("if")) {
    ConditionalExpression node;
    ASSIGN_OR_RETURN(node.condition, ParseOr());
    if (TakeName("else")) {
      ASSIGN_OR_RETURN(node.otherwise, ParseExpression());
    }
    node.then = std::move(expression);
    const int depth =
        std::max({DepthOf(node.condition), DepthOf(node.then), DepthOf(node.otherwise)});
    ASSIGN_OR_RETURN(expression, Make(at, depth, std::move(node)));
  }
  return expression;
}

absl::StatusOr<ExpressionPtr> Parser::ParseOr() {
  ASSIGN_OR_RETURN(ExpressionPtr left, ParseAnd());
  for (Position at = Peek().at; TakeName("or"); at = Peek().at) {
    ASSIGN_OR_RETURN(ExpressionPtr right, ParseAnd());
    const int depth = std::max(left->depth, right->depth);
    ASSIGN_OR_RETURN(left,
                     Make(at, depth, LogicalExpression{false, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::ParseAnd() {
  ASSIGN_OR_RETURN(ExpressionPtr left, ParseNot());
  for (Position at = Peek().at; TakeName("and"); at = Peek().at) {
    ASSIGN_OR_RETURN(ExpressionPtr right, ParseNot());
    const int depth = std::max(left->depth, right->depth);
    ASSIGN_OR_RETURN(left,
                     Make(at, depth, LogicalExpression{true, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::ParseNot() {
  Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check());
  const Position at = Peek().at;
  if (!TakeName("not")) return ParseCompare();
  ASSIGN_OR_RETURN(ExpressionPtr operand, ParseNot());
  const int depth = operand->depth;
  return Make(at, depth, UnaryExpression{UnaryExpression::Op::kNot, std::move(operand)});
}

std::optional<CompareOp> Parser::TakeCompareOp() {
  static constexpr std::pair<std::string_view, CompareOp> kOps[] = {
      {"==", CompareOp::kEqual},  {"!=", CompareOp::kNotEqual},
      {"<", CompareOp::kLess},    {"<=", CompareOp::kLessEqual},
      {">", CompareOp::kGreater}, {">=", CompareOp::kGreaterEqual}};
  for (const auto& [text, op] : kOps) {
    if (TakeOperator(text)) return op;
  }
  if (TakeName("in")) return CompareOp::kIn;
  if (Peek().IsName("not") && Peek(1).IsName("in")) {
    Next();
    Next();
    return CompareOp::kNotIn;
  }
  return std::nullopt;
}

absl::StatusOr<ExpressionPtr> Parser::ParseCompare() {
  ASSIGN_OR_RETURN(ExpressionPtr first, ParseSum());
  const Position at = Peek().at;
  CompareExpression node;
  int depth = first->depth;
  while (std::optional<CompareOp> op = TakeCompareOp()) {
    ASSIGN_OR_RETURN(ExpressionPtr operand, ParseSum());
    depth = std::max(depth, operand->depth);
    node.rest.emplace_back(*op, std::move(operand));
  }
  if (node.rest.empty()) return first;
  node.first = std::move(first);
  return Make(at, depth, std::move(node));
}

absl::StatusOr<ExpressionPtr> Parser::ParseSum() {
  ASSIGN_OR_RETURN(ExpressionPtr left, ParseConcat());
  while (Peek().IsOperator("+") || Peek().IsOperator("-")) {
    const Token op = Next();
    ASSIGN_OR_RETURN(ExpressionPtr right, ParseConcat());
    const int depth = std::max(left->depth, right->depth);
    BinaryExpression node{op.text == "+" ? BinaryOp::kAdd : BinaryOp::kSubtract, std::move(left),
                          std::move(right)};
    ASSIGN_OR_RETURN(left, Make(op.at, depth, std::move(node)));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::ParseConcat() {
  ASSIGN_OR_RETURN(ExpressionPtr first, ParseProduct());
  const Position at = Peek().at;
  if (!Peek().IsOperator("~")) return first;
  ConcatExpression node;
  node.parts.push_back(std::move(first));
  while (TakeOperator("~")) {
    ASSIGN_OR_RETURN(ExpressionPtr part, ParseProduct());
    node.parts.push_back(std::move(part));
  }
  const int depth = DepthOf(node.parts);
  return Make(at, depth, std::move(node));
}

absl::StatusOr<ExpressionPtr> Parser::ParseProduct() {
  static constexpr std::pair<std::string_view, BinaryOp> kOps[] = {{"*", BinaryOp::kMultiply},
                                                                   {"/", BinaryOp::kDivide},
                                                                   {"//", BinaryOp::kFloorDivide},
                                                                   {"%", BinaryOp::kModulo}};
  ASSIGN_OR_RETURN(ExpressionPtr left, ParsePower());
  while (true) {
    const auto* op = std::find_if(std::begin(kOps), std::end(kOps),
                                  [&](const auto& one) { return Peek().IsOperator(one.first); });
    if (op == std::end(kOps)) return left;
    const Position at = Next().at;
    ASSIGN_OR_RETURN(ExpressionPtr right, ParsePower());
    const int depth = std::max(left->depth, right->depth);
    ASSIGN_OR_RETURN(
        left, Make(at, depth, BinaryExpression{op->second, std::move(left), std::move(right)}));
  }
}

absl::StatusOr<ExpressionPtr> Parser::ParsePower() {
  ASSIGN_OR_RETURN(ExpressionPtr left, ParseUnary());
  for (Position at = Peek().at; TakeOperator("**"); at = Peek().at) {
    ASSIGN_OR_RETURN(ExpressionPtr right, ParseUnary());
    const int depth = std::max(left->depth, right->depth);
    ASSIGN_OR_RETURN(
        left,
        Make(at, depth, BinaryExpression{BinaryOp::kPower, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> Parser::ParseUnary(bool with_filters) {
  Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check());
  const Position at = Peek().at;
  ExpressionPtr expression;
  if (Peek().IsOperator("-") || Peek().IsOperator("+")) {
    const bool minus = Next().text == "-";
    ASSIGN_OR_RETURN(ExpressionPtr operand, ParseUnary(/*with_filters=*/false));
    const int depth = operand->depth;
    UnaryExpression node{minus ? UnaryExpression::Op::kNegate : UnaryExpression::Op::kPlus,
                         std::move(operand)};
    ASSIGN_OR_RETURN(expression, Make(at, depth, std::move(node)));
  } else {
    ASSIGN_OR_RETURN(expression, ParsePrimary());
  }
  ASSIGN_OR_RETURN(expression, ParsePostfix(std::move(expression)));
  if (!with_filters) return expression;
  return ParseFilters(std::move(expression), /*with_tests=*/true);
}

absl::StatusOr<ExpressionPtr> Parser::ParsePrimary() {
  const Position at = Peek().at;
  switch (Peek().type) {
    case Type::kName:
      return ParseNameOrConstant();
    case Type::kNumber:
      return Make(at, 0, ConstantExpression{Next().number});
    case Type::kString: {
      std::string text = Next().text;
      while (Peek().type == Type::kString) text += Next().text;
      return Make(at, 0, ConstantExpression{Value(std::move(text))});
    }
    default:
      if (Peek().IsOperator("(")) return ParseParenthesis();
      if (Peek().IsOperator("[")) return ParseList();
      if (Peek().IsOperator("{")) return ParseDict();
      return Unexpected("an expression");
  }
}

absl::StatusOr<ExpressionPtr> Parser::ParseNameOrConstant() {
  const Token token = Next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return Make(token.at, 0, ConstantExpression{Value(true)});
  if (name == "false" || name == "False") {
    return Make(token.at, 0, ConstantExpression{Value(false)});
  }
  if (name == "none" || name == "None") return Make(token.at, 0, ConstantExpression{Value(None())});
  const NameId id = Intern(name);
  reads_varargs_ |= id == kVarargsName;
  reads_kwargs_ |= id == kKwargsName;
  reads_caller_ |= id == kCallerName;
  return Make(token.at, 0, NameExpression{id});
}

absl::StatusOr<ExpressionPtr> Parser::ParseParenthesis() {
  const Position at = Next().at;
  if (TakeOperator(")")) return Make(at, 0, SequenceExpression{.type = Sequence::Type::kTuple});
  ASSIGN_OR_RETURN(ExpressionPtr expression, ParseTuple(/*with_condition=*/true));
  RETURN_IF_ERROR(ExpectOperator(")"));
  return expression;
}

absl::StatusOr<ExpressionPtr> Parser::ParseList() {
  const Position at = Next().at;
  SequenceExpression list{.type = Sequence::Type::kList};
  while (!TakeOperator("]")) {
    if (!list.items.empty()) {
      RETURN_IF_ERROR(ExpectOperator(","));
      if (TakeOperator("]")) break;
    }
    ASSIGN_OR_RETURN(ExpressionPtr item, ParseExpression());
    list.items.push_back(std::move(item));
  }
  const int depth = DepthOf(list.items);
  return Make(at, depth, std::move(list));
}

absl::StatusOr<ExpressionPtr> Parser::ParseDict() {
  const Position at = Next().at;
  DictExpression dict;
  int depth = 0;
  while (!TakeOperator("}")) {
    if (!dict.items.empty()) {
      RETURN_IF_ERROR(ExpectOperator(","));
      if (TakeOperator("}")) break;
    }
    ASSIGN_OR_RETURN(ExpressionPtr key, ParseExpression());
    RETURN_IF_ERROR(ExpectOperator(":"));
    ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    depth = std::max({depth, key->depth, value->depth});
    dict.items.emplace_back(std::move(key), std::move(value));
  }
  return Make(at, depth, std::move(dict));
}

absl::StatusOr<ExpressionPtr> Parser::ParsePostfix(ExpressionPtr subject) {
  while (true) {
    if (Peek().IsOperator(".")) {
      ASSIGN_OR_RETURN(subject, ParseAttribute(std::move(subject)));
    } else if (Peek().IsOperator("[")) {
      ASSIGN_OR_RETURN(subject, ParseSubscript(std::move(subject)));
    } else if (Peek().IsOperator("(")) {
      ASSIGN_OR_RETURN(subject, ParseCall(std::move(subject)));
    } else {
      return subject;
    }
  }
}

absl::StatusOr<ExpressionPtr> Parser::ParseAttribute(ExpressionPtr object) {
  Next();
  const Token token = Next();
  const int depth = object->depth;
  if (token.type == Type::kNumber && token.number.IsIntegral()) {
    ASSIGN_OR_RETURN(ExpressionPtr index, Make(token.at, 0, ConstantExpression{token.number}));
    return Make(token.at, depth, ItemExpression{std::move(object), std::move(index)});
  }
  if (token.type != Type::kName) {
    return At(token.at, Error("expected an attribute, found ", token.Describe()));
  }
  AttributeExpression node{std::move(object), std::make_shared<const std::string>(token.text),
                           FindMethods(token.text)};
  return Make(token.at, depth, std::move(node));
}

absl::StatusOr<ExpressionPtr> Parser::ParseSubscript(ExpressionPtr object) {
  const Position at = Next().at;
  if (Peek().IsOperator(":")) return ParseSlice(std::move(object), nullptr, at);
  ASSIGN_OR_RETURN(ExpressionPtr index, ParseExpression());
  if (Peek().IsOperator(":")) return ParseSlice(std::move(object), std::move(index), at);
  RETURN_IF_ERROR(ExpectOperator("]"));
  const int depth = std::max(object->depth, index->depth);
  return Make(at, depth, ItemExpression{std::move(object), std::move(index)});
}

absl::StatusOr<ExpressionPtr> Parser::ParseSlice(ExpressionPtr object, ExpressionPtr start,
                                                 Position at) {
  SliceExpression node{std::move(object), std::move(start), nullptr, nullptr};
  Next();
  if (!Peek().IsOperator(":") && !Peek().IsOperator("]")) {
    ASSIGN_OR_RETURN(node.stop, ParseExpression());
  }
  if (TakeOperator(":") && !Peek().IsOperator("]")) {
    ASSIGN_OR_RETURN(node.step, ParseExpression());
  }
  RETURN_IF_ERROR(ExpectOperator("]"));
  const int depth =
      std::max({DepthOf(node.object), DepthOf(node.start), DepthOf(node.stop), DepthOf(node.step)});
  return Make(at, depth, std::move(node));
}

absl::StatusOr<ExpressionPtr> Parser::ParseCall(ExpressionPtr callee) {
  const Position at = Peek().at;
  ASSIGN_OR_RETURN(CallArguments arguments, ParseArguments());
  const int depth = std::max(callee->depth, DepthOf(arguments));
  return Make(at, depth, CallExpression{std::move(callee), std::move(arguments)});
}

absl::StatusOr<ExpressionPtr> Parser::ParseFilters(ExpressionPtr subject, bool with_tests) {
  while (true) {
    if (TakeOperator("|")) {
      ASSIGN_OR_RETURN(subject, ParseFilter(std::move(subject)));
    } else if (with_tests && TakeName("is")) {
      ASSIGN_OR_RETURN(subject, ParseTest(std::move(subject)));
    } else if (with_tests && Peek().IsOperator("(")) {
      ASSIGN_OR_RETURN(subject, ParseCall(std::move(subject)));
    } else {
      return subject;
    }
  }
}

absl::StatusOr<ExpressionPtr> Parser::ParseFilter(ExpressionPtr subject) {
  const Position at = Peek().at;
  ASSIGN_OR_RETURN(std::string name, AnyName());
  while (TakeOperator(".")) {
    ASSIGN_OR_RETURN(const std::string more, AnyName());
    name += "." + more;
  }
  BuiltinExpression node{.is_filter = true, .name = name, .function = FindFilter(name)};
  if (Peek().IsOperator("(")) {
    ASSIGN_OR_RETURN(node.arguments, ParseArguments());
  }
  const int depth = std::max(subject->depth, DepthOf(node.arguments));
  node.subject = std::move(subject);
  return Make(at, depth, std::move(node));
}

// After "is". The argument of a test may come without parentheses: `x is divisibleby 3`.
absl::StatusOr<ExpressionPtr> Parser::ParseTest(ExpressionPtr subject) {
  const bool negated = TakeName("not");
  const Position at = Peek().at;
  ASSIGN_OR_RETURN(std::string name, AnyName());
  BuiltinExpression node{.is_filter = false, .name = name, .function = FindTest(name)};
  const Token& next = Peek();
  if (next.IsOperator("(")) {
    ASSIGN_OR_RETURN(node.arguments, ParseArguments());
  } else if (next.IsName("is")) {
    return At(next.at, Error("tests cannot be chained with 'is'"));
  } else if (next.type == Type::kString || next.type == Type::kNumber || next.IsOperator("[") ||
             next.IsOperator("{") ||
             (next.type == Type::kName && !next.IsName("else") && !next.IsName("or") &&
              !next.IsName("and"))) {
    ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePrimary());
    ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    node.arguments.positional.push_back(std::move(argument));
  }
  const int depth = std::max(subject->depth, DepthOf(node.arguments));
  node.subject = std::move(subject);
  ASSIGN_OR_RETURN(ExpressionPtr test, Make(at, depth, std::move(node)));
  if (!negated) return test;
  return Make(at, depth + 1, UnaryExpression{UnaryExpression::Op::kNot, std::move(test)});
}

absl::StatusOr<CallArguments> Parser::ParseArguments() {
  RETURN_IF_ERROR(ExpectOperator("("));
  CallArguments arguments;
  for (bool first = true; !TakeOperator(")"); first = false) {
    if (!first) {
      RETURN_IF_ERROR(ExpectOperator(","));
      if (TakeOperator(")")) break;
    }
    RETURN_IF_ERROR(ParseArgument(arguments));
  }
  return arguments;
}

absl::Status Parser::ParseArgument(CallArguments& arguments) {
  const Position at = Peek().at;
  const bool no_more = arguments.more_positional != nullptr || arguments.more_named != nullptr;
  if (TakeOperator("*")) {
    if (no_more) return At(at, Error("misplaced * argument"));
    ASSIGN_OR_RETURN(arguments.more_positional, ParseExpression());
    return absl::OkStatus();
  }
  if (TakeOperator("**")) {
    if (arguments.more_named != nullptr) return At(at, Error("misplaced ** argument"));
    ASSIGN_OR_RETURN(arguments.more_named, ParseExpression());
    return absl::OkStatus();
  }
  if (Peek().type == Type::kName && Peek(1).IsOperator("=")) {
    auto name = std::make_shared<const std::string>(Next().text);
    Next();
    ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    arguments.named.emplace_back(std::move(name), std::move(value));
    return absl::OkStatus();
  }
  if (no_more || !arguments.named.empty()) {
    return At(at, Error("a positional argument after named ones"));
  }
  ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
  arguments.positional.push_back(std::move(value));
  return absl::OkStatus();
}

}  // namespace regatta::jinja
