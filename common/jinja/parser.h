// The recursive-descent parser behind Parse (ast.h): Jinja's grammar.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/jinja/ast.h"
#include "common/jinja/token.h"

namespace regatta::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens);

  absl::StatusOr<Program> Run();

 private:
  using Type = Token::Type;

  // One level of nesting while it lives.
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) { ++parser_.nesting_; }
    ~Nesting() { --parser_.nesting_; }
    absl::Status Check() const;

   private:
    Parser& parser_;
  };

  // Tokens.
  const Token& Peek(size_t ahead = 0) const;
  Token Next() { return tokens_[position_ + 1 < tokens_.size() ? position_++ : position_]; }
  bool TakeName(std::string_view name);
  bool TakeOperator(std::string_view op);
  absl::Status ExpectName(std::string_view name);
  absl::Status ExpectOperator(std::string_view op);
  absl::Status Expect(Type type, std::string_view what);
  absl::StatusOr<std::string> AnyName();
  absl::Status Unexpected(std::string_view wanted) const;

  NameId Intern(const std::string& name);
  // A node over children whose deepest tree has `depth`.
  template <typename Node>
  absl::StatusOr<ExpressionPtr> Make(Position at, int depth, Node node);

  // Statements (parser.cc).
  absl::StatusOr<Block> ParseBlock(std::initializer_list<std::string_view> ends);
  absl::Status ParseStatement(Block& block);
  absl::StatusOr<Block> Body(std::initializer_list<std::string_view> ends);
  absl::StatusOr<Block> BodyUntil(std::string_view end);
  absl::Status ParsePrint(Position at, Block& block);
  absl::Status ParseIf(Position at, Block& block);
  absl::Status ParseFor(Position at, Block& block);
  absl::Status ParseSet(Position at, Block& block);
  absl::Status ParseMacro(Position at, Block& block);
  absl::Status ParseCallBlock(Position at, Block& block);
  absl::Status ParseFilterBlock(Position at, Block& block);
  absl::Status ParseWith(Position at, Block& block);
  absl::Status ParseGeneration(Position at, Block& block);
  absl::Status ParseLoopControl(Position at, Block& block);
  absl::Status ParseSignature(MacroCode& macro);
  absl::StatusOr<MacroCode> ParseMacroBody(MacroCode macro, std::string_view end);
  absl::StatusOr<Target> ParseTarget(bool with_attribute);
  absl::StatusOr<Target> ParseOneTarget(bool with_attribute);

  // Expressions (parser_expressions.cc), in the order of their precedence.
  absl::StatusOr<ExpressionPtr> ParseTuple(bool with_condition, std::string_view end_name = "");
  absl::StatusOr<ExpressionPtr> ParseExpression(bool with_condition = true);
  absl::StatusOr<ExpressionPtr> ParseOr();
  absl::StatusOr<ExpressionPtr> ParseAnd();
  absl::StatusOr<ExpressionPtr> ParseNot();
  absl::StatusOr<ExpressionPtr> ParseCompare();
  absl::StatusOr<ExpressionPtr> ParseSum();
  absl::StatusOr<ExpressionPtr> ParseConcat();
  absl::StatusOr<ExpressionPtr> ParseProduct();
  absl::StatusOr<ExpressionPtr> ParsePower();
  absl::StatusOr<ExpressionPtr> ParseUnary(bool with_filters = true);
  absl::StatusOr<ExpressionPtr> ParsePrimary();
  absl::StatusOr<ExpressionPtr> ParseNameOrConstant();
  absl::StatusOr<ExpressionPtr> ParseParenthesis();
  absl::StatusOr<ExpressionPtr> ParseList();
  absl::StatusOr<ExpressionPtr> ParseDict();
  absl::StatusOr<ExpressionPtr> ParsePostfix(ExpressionPtr subject);
  absl::StatusOr<ExpressionPtr> ParseAttribute(ExpressionPtr object);
  absl::StatusOr<ExpressionPtr> ParseSubscript(ExpressionPtr object);
  absl::StatusOr<ExpressionPtr> ParseSlice(ExpressionPtr object, ExpressionPtr start, Position at);
  absl::StatusOr<ExpressionPtr> ParseCall(ExpressionPtr callee);
  absl::StatusOr<ExpressionPtr> ParseFilters(ExpressionPtr subject, bool with_tests);
  absl::StatusOr<ExpressionPtr> ParseFilter(ExpressionPtr subject);
  absl::StatusOr<ExpressionPtr> ParseTest(ExpressionPtr subject);
  absl::StatusOr<CallArguments> ParseArguments();
  absl::Status ParseArgument(CallArguments& arguments);
  std::optional<CompareOp> TakeCompareOp();

  std::vector<Token> tokens_;
  size_t position_ = 0;
  int nesting_ = 0;
  int loops_ = 0;  // for statements around, within the macro
  std::map<std::string, NameId, std::less<>> ids_;
  std::vector<StringPtr> names_;
  // Which of varargs, kwargs and caller were read since the macro's body began.
  bool reads_varargs_ = false, reads_kwargs_ = false, reads_caller_ = false;
};

template <typename Node>
absl::StatusOr<ExpressionPtr> Parser::Make(Position at, int depth, Node node) {
  if (depth >= kMaxSyntaxDepth) {
    return At(at, absl::InvalidArgumentError("expressions are nested more than " +
                                             std::to_string(kMaxSyntaxDepth) + " deep"));
  }
  return std::make_unique<const Expression>(
      Expression{.at = at, .depth = depth + 1, .node = std::move(node)});
}

}  // namespace regatta::jinja
