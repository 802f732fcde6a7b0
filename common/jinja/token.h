// Tokens of a template's source.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/jinja/value.h"

namespace regatta::jinja {

struct Position {
  int line = 1;
  int column = 1;  // in code points
};

// `status` with the place put before its message, unless it has one.
absl::Status At(Position at, const absl::Status& status);

struct Token {
  enum class Type {
    kText,           // between tags, white space control applied
    kVariableBegin,  // {{
    kVariableEnd,
    kBlockBegin,  // {%
    kBlockEnd,
    kName,
    kString,    // `text` without quotes and escapes
    kNumber,    // `number`
    kOperator,  // `text`
    kEnd,
  };
  Type type = Type::kEnd;
  std::string text;
  Value number;
  Position at;

  bool Is(Type wanted, std::string_view wanted_text) const {
    return type == wanted && text == wanted_text;
  }
  bool IsName(std::string_view name) const { return Is(Type::kName, name); }
  bool IsOperator(std::string_view op) const { return Is(Type::kOperator, op); }
  // For messages.
  std::string Describe() const;
};

// Jinja's tokens of `source` (well-formed UTF-8), with trim_blocks and lstrip_blocks on as in
// transformers; the last is kEnd. Errors name line and column.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace regatta::jinja
