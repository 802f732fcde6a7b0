// Tokens and statements.
#include "common/jinja/parser.h"

#include <memory>
#include <optional>

#include "common/jinja/errors.h"
#include "common/status_macros.h"

namespace regatta::jinja {

Parser::Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  for (const char* name : {"loop", "caller", "varargs", "kwargs"}) Intern(name);
}

absl::Status Parser::Nesting::Check() const {
  if (parser_.nesting_ <= kMaxSyntaxDepth) return absl::OkStatus();
  return At(parser_.Peek().at,
            Error("nested more than ", std::to_string(kMaxSyntaxDepth), " deep"));
}

const Token& Parser::Peek(size_t ahead) const {
  return tokens_[std::min(position_ + ahead, tokens_.size() - 1)];
}

bool Parser::TakeName(std::string_view name) {
  if (!Peek().IsName(name)) return false;
  Next();
  return true;
}

bool Parser::TakeOperator(std::string_view op) {
  if (!Peek().IsOperator(op)) return false;
  Next();
  return true;
}

absl::Status Parser::Unexpected(std::string_view wanted) const {
  return At(Peek().at, Error("expected ", wanted, ", found ", Peek().Describe()));
}

absl::Status Parser::ExpectName(std::string_view name) {
  return TakeName(name) ? absl::OkStatus() : Unexpected(Concat("'", name, "'"));
}

absl::Status Parser::ExpectOperator(std::string_view op) {
  return TakeOperator(op) ? absl::OkStatus() : Unexpected(Concat("'", op, "'"));
}

absl::Status Parser::Expect(Type type, std::string_view what) {
  if (Peek().type != type) return Unexpected(what);
  Next();
  return absl::OkStatus();
}

absl::StatusOr<std::string> Parser::AnyName() {
  if (Peek().type != Type::kName) return Unexpected("a name");
  return Next().text;
}

NameId Parser::Intern(const std::string& name) {
  auto [place, inserted] = ids_.emplace(name, static_cast<NameId>(names_.size()));
  if (inserted) names_.push_back(std::make_shared<const std::string>(name));
  return place->second;
}

absl::StatusOr<Program> Parser::Run() {
  ASSIGN_OR_RETURN(Block body, ParseBlock({}));
  if (Peek().type != Type::kEnd) return Unexpected("text or a tag");
  return Program{.body = std::move(body), .names = std::move(names_)};
}

// Up to the tag that starts with one of `ends`, whose "{%" is passed and whose name is next; or to
// the end of the template.
absl::StatusOr<Block> Parser::ParseBlock(std::initializer_list<std::string_view> ends) {
  Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check());
  Block block;
  while (Peek().type != Type::kEnd) {
    Token token = Next();
    if (token.type == Type::kText) {
      block.push_back({token.at, TextStatement{std::move(token.text)}});
    } else if (token.type == Type::kVariableBegin) {
      ASSIGN_OR_RETURN(ExpressionPtr value, ParseTuple(/*with_condition=*/true));
      RETURN_IF_ERROR(Expect(Type::kVariableEnd, "'}}'"));
      block.push_back({token.at, PrintStatement{std::move(value)}});
    } else {
      for (std::string_view end : ends) {
        if (Peek().IsName(end)) return block;
      }
      RETURN_IF_ERROR(ParseStatement(block));
      RETURN_IF_ERROR(Expect(Type::kBlockEnd, "'%}'"));
    }
  }
  if (ends.size() > 0) return Unexpected(Concat("'", *(ends.end() - 1), "'"));
  return block;
}

absl::Status Parser::ParseStatement(Block& block) {
  using Rule = absl::Status (Parser::*)(Position, Block&);
  static constexpr std::pair<std::string_view, Rule> kRules[] = {
      {"if", &Parser::ParseIf},
      {"for", &Parser::ParseFor},
      {"set", &Parser::ParseSet},
      {"macro", &Parser::ParseMacro},
      {"call", &Parser::ParseCallBlock},
      {"filter", &Parser::ParseFilterBlock},
      {"with", &Parser::ParseWith},
      {"generation", &Parser::ParseGeneration},
      {"print", &Parser::ParsePrint},
      {"break", &Parser::ParseLoopControl},
      {"continue", &Parser::ParseLoopControl}};
  for (const auto& [name, rule] : kRules) {
    if (!Peek().IsName(name)) continue;
    Position at = Peek().at;
    if (rule != &Parser::ParseLoopControl) Next();
    return (this->*rule)(at, block);
  }
  return At(Peek().at, Error("unknown tag ", Peek().Describe()));
}

// After a statement's head.
absl::StatusOr<Block> Parser::Body(std::initializer_list<std::string_view> ends) {
  TakeOperator(":");
  RETURN_IF_ERROR(Expect(Type::kBlockEnd, "'%}'"));
  return ParseBlock(ends);
}

absl::StatusOr<Block> Parser::BodyUntil(std::string_view end) {
  ASSIGN_OR_RETURN(Block body, Body({end}));
  Next();
  return body;
}

absl::Status Parser::ParsePrint(Position at, Block& block) {
  while (Peek().type != Type::kBlockEnd) {
    ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    block.push_back({at, PrintStatement{std::move(value)}});
    if (!TakeOperator(",")) break;
  }
  return absl::OkStatus();
}

absl::Status Parser::ParseIf(Position at, Block& block) {
  IfStatement statement;
  while (true) {
    ASSIGN_OR_RETURN(ExpressionPtr condition, ParseTuple(/*with_condition=*/false));
    ASSIGN_OR_RETURN(Block body, Body({"elif", "else", "endif"}));
    statement.branches.emplace_back(std::move(condition), std::move(body));
    if (TakeName("elif")) continue;
    if (TakeName("else")) {
      ASSIGN_OR_RETURN(statement.otherwise, Body({"endif"}));
    }
    Next();
    block.push_back({at, std::move(statement)});
    return absl::OkStatus();
  }
}

absl::Status Parser::ParseFor(Position at, Block& block) {
  ForStatement statement;
  ASSIGN_OR_RETURN(statement.target, ParseTarget(/*with_attribute=*/false));
  RETURN_IF_ERROR(ExpectName("in"));
  ASSIGN_OR_RETURN(statement.items, ParseTuple(/*with_condition=*/false, "recursive"));
  if (TakeName("if")) {
    ASSIGN_OR_RETURN(statement.condition, ParseExpression());
  }
  statement.recursive = TakeName("recursive");
  ++loops_;
  ASSIGN_OR_RETURN(statement.body, Body({"else", "endfor"}));
  --loops_;
  if (TakeName("else")) {
    ASSIGN_OR_RETURN(statement.otherwise, Body({"endfor"}));
  }
  Next();
  block.push_back({at, std::move(statement)});
  return absl::OkStatus();
}

absl::Status Parser::ParseSet(Position at, Block& block) {
  ASSIGN_OR_RETURN(Target target, ParseTarget(/*with_attribute=*/true));
  if (TakeOperator("=")) {
    ASSIGN_OR_RETURN(ExpressionPtr value, ParseTuple(/*with_condition=*/true));
    block.push_back({at, SetStatement{std::move(target), std::move(value)}});
    return absl::OkStatus();
  }
  SetBlockStatement statement{.target = std::move(target)};
  ASSIGN_OR_RETURN(ExpressionPtr text, Make(at, 0, BlockTextExpression()));
  ASSIGN_OR_RETURN(statement.filtered, ParseFilters(std::move(text), /*with_tests=*/false));
  ASSIGN_OR_RETURN(statement.body, BodyUntil("endset"));
  block.push_back({at, std::move(statement)});
  return absl::OkStatus();
}

absl::Status Parser::ParseSignature(MacroCode& macro) {
  RETURN_IF_ERROR(ExpectOperator("("));
  while (!TakeOperator(")")) {
    if (!macro.parameters.empty()) RETURN_IF_ERROR(ExpectOperator(","));
    ASSIGN_OR_RETURN(std::string name, AnyName());
    macro.parameters.push_back(Intern(name));
    if (TakeOperator("=")) {
      ASSIGN_OR_RETURN(ExpressionPtr fallback, ParseExpression());
      macro.defaults.push_back(std::move(fallback));
    } else if (!macro.defaults.empty()) {
      return Unexpected("a default, as the parameter before has one");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<MacroCode> Parser::ParseMacroBody(MacroCode macro, std::string_view end) {
  const int loops = std::exchange(loops_, 0);
  const bool varargs = std::exchange(reads_varargs_, false);
  const bool kwargs = std::exchange(reads_kwargs_, false);
  const bool caller = std::exchange(reads_caller_, false);
  ASSIGN_OR_RETURN(macro.body, BodyUntil(end));
  macro.takes_varargs = std::exchange(reads_varargs_, varargs);
  macro.takes_kwargs = std::exchange(reads_kwargs_, kwargs);
  macro.takes_caller = std::exchange(reads_caller_, caller);
  loops_ = loops;
  return macro;
}

absl::Status Parser::ParseMacro(Position at, Block& block) {
  MacroCode macro;
  ASSIGN_OR_RETURN(macro.name, AnyName());
  NameId name = Intern(macro.name);
  RETURN_IF_ERROR(ParseSignature(macro));
  ASSIGN_OR_RETURN(macro, ParseMacroBody(std::move(macro), "endmacro"));
  block.push_back({at, MacroStatement{name, std::move(macro)}});
  return absl::OkStatus();
}

absl::Status Parser::ParseCallBlock(Position at, Block& block) {
  MacroCode caller{.name = "caller"};
  if (Peek().IsOperator("(")) RETURN_IF_ERROR(ParseSignature(caller));
  ASSIGN_OR_RETURN(ExpressionPtr call, ParseExpression());
  if (!std::holds_alternative<CallExpression>(call->node)) {
    return At(at, Error("expected a call in this tag"));
  }
  ASSIGN_OR_RETURN(caller, ParseMacroBody(std::move(caller), "endcall"));
  block.push_back({at, CallStatement{std::move(call), std::move(caller)}});
  return absl::OkStatus();
}

absl::Status Parser::ParseFilterBlock(Position at, Block& block) {
  FilterStatement statement;
  ASSIGN_OR_RETURN(ExpressionPtr text, Make(at, 0, BlockTextExpression()));
  ASSIGN_OR_RETURN(text, ParseFilter(std::move(text)));
  ASSIGN_OR_RETURN(statement.filtered, ParseFilters(std::move(text), /*with_tests=*/false));
  ASSIGN_OR_RETURN(statement.body, BodyUntil("endfilter"));
  block.push_back({at, std::move(statement)});
  return absl::OkStatus();
}

absl::Status Parser::ParseWith(Position at, Block& block) {
  ScopeStatement statement;
  while (Peek().type != Type::kBlockEnd) {
    if (!statement.assignments.empty()) RETURN_IF_ERROR(ExpectOperator(","));
    ASSIGN_OR_RETURN(Target target, ParseTarget(/*with_attribute=*/false));
    RETURN_IF_ERROR(ExpectOperator("="));
    ASSIGN_OR_RETURN(ExpressionPtr value, ParseExpression());
    statement.assignments.emplace_back(std::move(target), std::move(value));
  }
  ASSIGN_OR_RETURN(statement.body, BodyUntil("endwith"));
  block.push_back({at, std::move(statement)});
  return absl::OkStatus();
}

// What transformers marks as written by the assistant; it renders as it is.
absl::Status Parser::ParseGeneration(Position at, Block& block) {
  ScopeStatement statement;
  ASSIGN_OR_RETURN(statement.body, BodyUntil("endgeneration"));
  block.push_back({at, std::move(statement)});
  return absl::OkStatus();
}

absl::Status Parser::ParseLoopControl(Position at, Block& block) {
  const bool is_break = Next().text == "break";
  if (loops_ == 0) return At(at, Error("break and continue are for loops"));
  if (is_break) {
    block.push_back({at, BreakStatement()});
  } else {
    block.push_back({at, ContinueStatement()});
  }
  return absl::OkStatus();
}

absl::StatusOr<Target> Parser::ParseTarget(bool with_attribute) {
  Target first;
  const Position at = Peek().at;
  ASSIGN_OR_RETURN(first, ParseOneTarget(with_attribute));
  if (!Peek().IsOperator(",")) return first;
  Target tuple{.at = at};
  tuple.parts.push_back(std::move(first));
  while (TakeOperator(",") && !Peek().IsName("in") && !Peek().IsOperator("=")) {
    ASSIGN_OR_RETURN(Target part, ParseOneTarget(with_attribute));
    tuple.parts.push_back(std::move(part));
  }
  return tuple;
}

absl::StatusOr<Target> Parser::ParseOneTarget(bool with_attribute) {
  Nesting nesting(*this);
  RETURN_IF_ERROR(nesting.Check());
  Target target{.at = Peek().at};
  if (TakeOperator("(")) {
    ASSIGN_OR_RETURN(target, ParseTarget(with_attribute));
    RETURN_IF_ERROR(ExpectOperator(")"));
    return target;
  }
  ASSIGN_OR_RETURN(std::string name, AnyName());
  for (std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
    if (name == constant) return At(target.at, Error("cannot assign to '", name, "'"));
  }
  target.name = Intern(name);
  if (with_attribute && TakeOperator(".")) {
    ASSIGN_OR_RETURN(std::string attribute, AnyName());
    target.attribute = std::make_shared<const std::string>(attribute);
  }
  return target;
}

absl::StatusOr<Program> Parse(std::string_view source) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace regatta::jinja
