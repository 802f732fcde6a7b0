// The syntax tree of a template. Immutable once parsed, shared by all renderings.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/jinja/callable.h"
#include "common/jinja/operators.h"
#include "common/jinja/token.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<const Expression>;
using Block = std::vector<Statement>;
using NameId = int;  // index into Program::names

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<StringPtr, ExpressionPtr>> named;
  ExpressionPtr more_positional;  // *x, or null
  ExpressionPtr more_named;       // **x, or null
};

struct ConstantExpression {
  Value value;
};
struct NameExpression {
  NameId name;
};
struct AttributeExpression {
  ExpressionPtr object;
  StringPtr name;
  Methods methods;
};
struct ItemExpression {
  ExpressionPtr object;
  ExpressionPtr index;
};
struct SliceExpression {
  ExpressionPtr object;
  ExpressionPtr start, stop, step;  // null: None
};
struct CallExpression {
  ExpressionPtr callee;
  CallArguments arguments;
};
// subject|name(...) and subject is name(...).
struct BuiltinExpression {
  bool is_filter;
  std::string name;
  Builtin function;  // null: there is none, an error when it is reached
  ExpressionPtr subject;
  CallArguments arguments;
};
struct UnaryExpression {
  enum class Op { kNot, kNegate, kPlus } op;
  ExpressionPtr operand;
};
struct BinaryExpression {
  BinaryOp op;
  ExpressionPtr left, right;
};
struct LogicalExpression {
  bool is_and;
  ExpressionPtr left, right;
};
struct CompareExpression {
  ExpressionPtr first;
  std::vector<std::pair<CompareOp, ExpressionPtr>> rest;
};
struct ConcatExpression {  // a ~ b ~ c
  std::vector<ExpressionPtr> parts;
};
struct ConditionalExpression {
  ExpressionPtr condition, then, otherwise;  // otherwise may be null
};
struct SequenceExpression {
  Sequence::Type type;  // list or tuple
  std::vector<ExpressionPtr> items;
};
struct DictExpression {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
};
// The text of the block that a filter of a block statement is applied to.
struct BlockTextExpression {};

struct Expression {
  Position at;
  int depth = 1;  // of the tree below, itself included
  std::variant<ConstantExpression, NameExpression, AttributeExpression, ItemExpression,
               SliceExpression, CallExpression, BuiltinExpression, UnaryExpression,
               BinaryExpression, LogicalExpression, CompareExpression, ConcatExpression,
               ConditionalExpression, SequenceExpression, DictExpression, BlockTextExpression>
      node;
};

// What can be assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  Position at;
  NameId name = -1;
  StringPtr attribute;        // null: the name itself
  std::vector<Target> parts;  // of a tuple, when `name` is -1
};

// A macro, or the body of a call block.
struct MacroCode {
  std::string name;
  std::vector<NameId> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  Block body;
  // Whether the body uses what it gets beyond its parameters.
  bool takes_varargs = false;
  bool takes_kwargs = false;
  bool takes_caller = false;
};

struct TextStatement {
  std::string text;
};
struct PrintStatement {
  ExpressionPtr value;
};
struct IfStatement {
  std::vector<std::pair<ExpressionPtr, Block>> branches;
  Block otherwise;
};
struct ForStatement {
  Target target;
  ExpressionPtr items;
  ExpressionPtr condition;  // null: all items
  bool recursive = false;   // loop(items) runs this statement on other items
  Block body;
  Block otherwise;
};
struct SetStatement {
  Target target;
  ExpressionPtr value;
};
struct SetBlockStatement {
  Target target;
  ExpressionPtr filtered;  // of the block's text
  Block body;
};
struct MacroStatement {
  NameId name;
  MacroCode macro;
};
struct CallStatement {
  ExpressionPtr call;  // a CallExpression
  MacroCode caller;
};
struct FilterStatement {
  ExpressionPtr filtered;
  Block body;
};
struct ScopeStatement {  // with, generation
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Block body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  Position at;
  std::variant<TextStatement, PrintStatement, IfStatement, ForStatement, SetStatement,
               SetBlockStatement, MacroStatement, CallStatement, FilterStatement, ScopeStatement,
               BreakStatement, ContinueStatement>
      node;
};

// Names that the interpreter itself sets, with ids that are the same in every program.
inline constexpr NameId kLoopName = 0;
inline constexpr NameId kCallerName = 1;
inline constexpr NameId kVarargsName = 2;
inline constexpr NameId kKwargsName = 3;

struct Program {
  Block body;
  std::vector<StringPtr> names;
};

// Expressions and statements within each other, at most: parsing and rendering recurse.
inline constexpr int kMaxSyntaxDepth = 200;

// Errors name line and column.
absl::StatusOr<Program> Parse(std::string_view source);

}  // namespace regatta::jinja
