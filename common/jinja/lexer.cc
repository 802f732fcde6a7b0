// Text, tags and white space control; then names, literals and operators within tags.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/strings/match.h"
#include "common/jinja/errors.h"
#include "common/jinja/token.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Lines end in \n alone, and the last line end is dropped, as Jinja does.
std::string NormalizeLines(std::string_view source) {
  std::string lines;
  lines.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      lines.push_back(source[i]);
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      lines.push_back('\n');
    }
  }
  if (!lines.empty() && lines.back() == '\n') lines.pop_back();
  return lines;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (position_ < source_.size()) RETURN_IF_ERROR(TextAndTag());
    Add(Token::Type::kEnd, "");
    return std::move(tokens_);
  }

 private:
  using Type = Token::Type;

  std::string_view Rest() const { return source_.substr(position_); }
  bool Sees(std::string_view text) const { return Rest().substr(0, text.size()) == text; }

  // Moves on and keeps line and column.
  void Advance(size_t bytes) {
    for (char c : Rest().substr(0, bytes)) {
      if (c == '\n') {
        ++at_.line;
        at_.column = 1;
      } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
        ++at_.column;
      }
    }
    position_ += bytes;
  }

  void Add(Type type, std::string text) {
    tokens_.push_back(Token{.type = type, .text = std::move(text), .at = at_});
  }

  absl::Status Fail(std::string_view what) const { return At(at_, Error(what)); }

  // Text up to the next tag, and that tag.
  absl::Status TextAndTag() {
    size_t begin = position_;
    while (begin < source_.size() && !(source_[begin] == '{' && begin + 1 < source_.size() &&
                                       (source_[begin + 1] == '{' || source_[begin + 1] == '%' ||
                                        source_[begin + 1] == '#'))) {
      ++begin;
    }
    std::string_view text = source_.substr(position_, begin - position_);
    if (begin == source_.size()) {
      Add(Type::kText, std::string(text));
      Advance(text.size());
      return absl::OkStatus();
    }
    const char kind = source_[begin + 1];
    const char sign = begin + 2 < source_.size() ? source_[begin + 2] : ' ';
    AddText(text, sign, /*strips_line=*/kind != '{');
    Advance(text.size());
    const Position tag = at_;
    Advance(sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') return Comment(tag);
    if (kind == '%' && AtRaw()) return Raw(tag);
    tokens_.push_back(
        Token{.type = kind == '{' ? Type::kVariableBegin : Type::kBlockBegin, .at = tag});
    return Tag(kind == '{' ? "}}" : "%}", tag);
  }

  // Text before a tag: "-" strips it, "+" keeps it; else blanks before a block's tag go when
  // nothing else is on its line.
  void AddText(std::string_view text, char sign, bool strips_line) {
    if (sign == '-') {
      text = Strip(text, Ends::kRight);
    } else if (sign != '+' && strips_line) {
      const size_t line = text.rfind('\n') + 1;  // 0 when there is none
      if ((line > 0 || at_line_start_) && Strip(text.substr(line), Ends::kLeft).empty()) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) Add(Type::kText, std::string(text));
  }

  void SkipSpace() {
    std::string_view rest = Rest();
    Advance(rest.size() - Strip(rest, Ends::kLeft).size());
  }

  // Passes the tag's end `close` if it is here, with its sign and the white space that goes with
  // it.
  bool TakeEnd(std::string_view close, bool trims_newline) {
    const size_t start = position_;
    const bool minus = Sees("-") && Rest().substr(1, 2) == close;
    const bool plus = trims_newline && Sees("+") && Rest().substr(1, 2) == close;
    if (!minus && !plus && !Sees(close)) return false;
    Advance(close.size() + (minus || plus ? 1 : 0));
    if (minus) SkipSpace();
    if (!minus && !plus && trims_newline && Sees("\n")) Advance(1);
    at_line_start_ = position_ > start && source_[position_ - 1] == '\n';
    return true;
  }

  absl::Status Comment(Position tag) {
    while (position_ < source_.size()) {
      if (TakeEnd("#}", /*trims_newline=*/true)) return absl::OkStatus();
      Advance(1);
    }
    return At(tag, Error("this comment has no end"));
  }

  // After "{%": whether the tag is `raw`; passes it.
  bool AtRaw() {
    std::string_view rest = Strip(Rest(), Ends::kLeft);
    if (rest.substr(0, 3) != "raw") return false;
    rest = Strip(rest.substr(3), Ends::kLeft);
    if (rest.substr(0, 2) != "%}" && rest.substr(0, 3) != "-%}") return false;
    Advance(Rest().size() - rest.size());
    return TakeEnd("%}", /*trims_newline=*/false);
  }

  absl::Status Raw(Position tag) {
    const size_t begin = position_;
    for (size_t i = source_.find("{%", begin); i != std::string_view::npos;
         i = source_.find("{%", i + 1)) {
      std::string_view rest = source_.substr(i + 2);
      const char sign = rest.empty() ? ' ' : rest[0];
      if (sign == '-' || sign == '+') rest.remove_prefix(1);
      rest = Strip(rest, Ends::kLeft);
      if (rest.substr(0, 6) != "endraw") continue;
      rest = Strip(rest.substr(6), Ends::kLeft);
      if (rest.substr(0, 2) != "%}" && rest.substr(1, 2) != "%}") continue;
      AddText(source_.substr(begin, i - begin), sign, /*strips_line=*/true);
      Advance(source_.size() - rest.size() - position_);
      if (TakeEnd("%}", /*trims_newline=*/true)) return absl::OkStatus();
    }
    return At(tag, Error("this raw block has no end"));
  }

  // The tokens of a tag up to `close`. Within brackets "}}" closes dicts.
  absl::Status Tag(std::string_view close, Position tag) {
    std::string brackets;
    while (true) {
      SkipSpace();
      if (position_ == source_.size()) return At(tag, Error("this tag has no end"));
      if (brackets.empty() && TakeEnd(close, /*trims_newline=*/close == "%}")) {
        Add(close == "}}" ? Type::kVariableEnd : Type::kBlockEnd, "");
        return absl::OkStatus();
      }
      const char c = source_[position_];
      if (IsDigit(c)) {
        RETURN_IF_ERROR(Number());
      } else if (IsNameStart(c)) {
        Name();
      } else if (c == '\'' || c == '"') {
        RETURN_IF_ERROR(String(c));
      } else {
        RETURN_IF_ERROR(Operator(brackets));
      }
    }
  }

  void Name() {
    size_t length = 1;
    std::string_view rest = Rest();
    while (length < rest.size() && (IsNameStart(rest[length]) || IsDigit(rest[length]))) ++length;
    Add(Type::kName, std::string(rest.substr(0, length)));
    Advance(length);
  }

  absl::Status Operator(std::string& brackets) {
    static constexpr std::string_view kOperators[] = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                  [this](std::string_view text) { return Sees(text); });
    if (op == std::end(kOperators)) {
      return Fail(Concat("unexpected character '", Rest().substr(0, 1), "'"));
    }
    if (*op == "(" || *op == "[" || *op == "{") {
      brackets.push_back(*op == "(" ? ')' : *op == "[" ? ']' : '}');
    } else if (*op == ")" || *op == "]" || *op == "}") {
      if (brackets.empty() || brackets.back() != (*op)[0]) {
        return Fail(Concat("unexpected '", *op, "'"));
      }
      brackets.pop_back();
    }
    Add(Type::kOperator, std::string(*op));
    Advance(op->size());
    return absl::OkStatus();
  }

  // Length of the digits at `i` of the rest of the source; "_" may stand between two.
  size_t Digits(size_t i) const {
    std::string_view rest = Rest();
    size_t end = i;
    while (end < rest.size() && (IsDigit(rest[end]) || (rest[end] == '_' && end > i))) ++end;
    while (end > i && rest[end - 1] == '_') --end;
    return end - i;
  }

  absl::Status Number() {
    std::string_view rest = Rest();
    size_t length = Digits(0);
    bool is_float = false;
    const bool after_dot = position_ > 0 && source_[position_ - 1] == '.';
    if (!after_dot && length < rest.size() && rest[length] == '.' && Digits(length + 1) > 0) {
      length += 1 + Digits(length + 1);
      is_float = true;
    }
    if (!after_dot && length < rest.size() && (rest[length] == 'e' || rest[length] == 'E')) {
      size_t sign =
          length + 1 < rest.size() && (rest[length + 1] == '+' || rest[length + 1] == '-');
      if (size_t digits = Digits(length + 1 + sign); digits > 0) {
        length += 1 + sign + digits;
        is_float = true;
      }
    }
    std::string digits(rest.substr(0, length));
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    Add(Type::kNumber, digits);
    if (is_float) {
      tokens_.back().number = Value(std::strtod(digits.c_str(), nullptr));
    } else {
      Integer value = 0;
      for (char c : digits) {
        if (__builtin_mul_overflow(value, Integer{10}, &value) ||
            __builtin_add_overflow(value, Integer{c - '0'}, &value)) {
          return Fail("integer beyond 128 bits");
        }
      }
      tokens_.back().number = Value(value);
    }
    Advance(length);
    return absl::OkStatus();
  }

  absl::Status String(char quote) {
    std::string_view rest = Rest();
    size_t end = 1;
    while (end < rest.size() && rest[end] != quote) end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return Fail("this string has no end");
    ASSIGN_OR_RETURN(std::string text, Unescape(rest.substr(1, end - 1)));
    Add(Type::kString, std::move(text));
    Advance(end + 1);
    return absl::OkStatus();
  }

  // Python's escapes; an unknown one stays as it is written.
  absl::StatusOr<std::string> Unescape(std::string_view text) const {
    std::string out;
    while (!text.empty()) {
      if (text[0] != '\\' || text.size() == 1) {
        out.push_back(text[0]);
        text.remove_prefix(1);
        continue;
      }
      static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
      const char c = text[1];
      const size_t hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      size_t length = 2;
      if (size_t i = kFrom.find(c); i != std::string_view::npos) {
        out.push_back(kTo[i]);
      } else if (hex > 0) {
        ASSIGN_OR_RETURN(char32_t code, CodePoint(text.substr(2, hex), 16, hex));
        AppendUtf8(code, out);
        length += hex;
      } else if (c >= '0' && c <= '7') {
        while (length < 4 && length < text.size() && text[length] >= '0' && text[length] <= '7') {
          ++length;
        }
        ASSIGN_OR_RETURN(char32_t code, CodePoint(text.substr(1, length - 1), 8, length - 1));
        AppendUtf8(code, out);
      } else if (c != '\n') {
        out.append(text.substr(0, 2));
      }
      text.remove_prefix(length);
    }
    return out;
  }

  absl::StatusOr<char32_t> CodePoint(std::string_view digits, int base, size_t length) const {
    uint32_t code = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
    if (digits.size() != length || error != std::errc() || end != digits.data() + length) {
      return Fail("a string has an escape with too few digits");
    }
    return static_cast<char32_t>(code);
  }

  const std::string_view source_;
  size_t position_ = 0;
  Position at_;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

absl::Status At(Position at, const absl::Status& status) {
  absl::string_view message = status.message();
  if (absl::StartsWith(message, "line ")) return status;  // The innermost place counts.
  return absl::Status(status.code(), Concat("line ", std::to_string(at.line), ", column ",
                                            std::to_string(at.column), ": ",
                                            std::string_view(message.data(), message.size())));
}

std::string Token::Describe() const {
  switch (type) {
    case Type::kText:
      return "text";
    case Type::kVariableBegin:
      return "{{";
    case Type::kVariableEnd:
      return "}}";
    case Type::kBlockBegin:
      return "{%";
    case Type::kBlockEnd:
      return "%}";
    case Type::kEnd:
      return "the end of the template";
    default:
      return Concat("'", text, "'");
  }
}

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source) {
  const std::string lines = NormalizeLines(source);
  return Lexer(lines).Run();
}

}  // namespace regatta::jinja
