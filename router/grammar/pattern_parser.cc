// Recursive descent over a pattern; see pattern_parser.h.
#include "router/grammar/pattern_parser.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"

namespace regatta::grammar {
namespace {

const CodePointSet& Digits() {
  static const auto& set = *new CodePointSet({{'0', '9'}});
  return set;
}

const CodePointSet& WordCharacters() {
  static const auto& set = *new CodePointSet({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  return set;
}

// ECMA-262's WhiteSpace and LineTerminator. Only the part in ASCII is ever produced for \s: what
// else counts as space differs between implementations. \S leaves out all of it.
const CodePointSet& Spaces() {
  static const auto& set = *new CodePointSet({{'\t', '\r'}, {' ', ' '}});
  return set;
}

CodePointSet NotSpaces() {
  CodePointSet spaces = Spaces();
  for (uint32_t other : {0x1cu, 0x1du, 0x1eu, 0x1fu, 0x85u, 0xa0u, 0x1680u, 0x180eu, 0x2028u,
                         0x2029u, 0x202fu, 0x205fu, 0x3000u, 0xfeffu}) {
    spaces.Add(other, other);
  }
  spaces.Add(0x2000, 0x200a);
  return spaces.Complement();
}

std::optional<CodePointSet> ClassEscape(char letter) {
  switch (letter) {
    case 'd':
      return Digits();
    case 'D':
      return Digits().Complement();
    case 'w':
      return WordCharacters();
    case 'W':
      return WordCharacters().Complement();
    case 's':
      return Spaces();
    case 'S':
      return NotSpaces();
    default:
      return std::nullopt;
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<AnchoredPattern>> Parse() {
    std::vector<AnchoredPattern> alternatives;
    do {
      AnchoredPattern alternative;
      alternative.at_start = Take('^');
      ASSIGN_OR_RETURN(alternative.tree, Sequence(0));
      alternative.at_end = Take('$');
      alternatives.push_back(std::move(alternative));
    } while (Take('|'));
    if (Done()) return alternatives;
    return Error(Peek() == '$' || Peek() == '^' ? "an anchor in the middle is not supported"
                                                : absl::StrCat("unexpected '", Shown(), "'"));
  }

 private:
  bool Done() const { return at_ == text_.size(); }
  char Peek() const { return Done() ? '\0' : text_[at_]; }
  bool LooksAt(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  bool Take(char c) {
    if (Done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string Shown() const { return std::string(text_.substr(at_, 1)); }
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(what, " (at byte ", at_, " of the pattern)"));
  }

  absl::StatusOr<PatternTree> Alternatives(int depth) {
    PatternTree tree{PatternTree::kAlternatives};
    do {
      ASSIGN_OR_RETURN(PatternTree part, Sequence(depth));
      tree.parts.push_back(std::move(part));
    } while (Take('|'));
    return tree;
  }

  absl::StatusOr<PatternTree> Sequence(int depth) {
    PatternTree tree{PatternTree::kSequence};
    while (!Done() && Peek() != '|' && Peek() != ')' && Peek() != '$') {
      ASSIGN_OR_RETURN(PatternTree part, Atom(depth));
      RETURN_IF_ERROR(Quantify(part));
      tree.parts.push_back(std::move(part));
    }
    return tree;
  }

  absl::StatusOr<PatternTree> Atom(int depth);
  absl::StatusOr<PatternTree> Group(int depth);
  absl::Status Quantify(PatternTree& part);
  absl::StatusOr<uint32_t> Number();
  absl::StatusOr<CodePointSet> Class();
  // One character, or a set such as \d: `set` tells which.
  struct Item {
    CodePointSet set;
    std::optional<uint32_t> character;
  };
  absl::StatusOr<Item> Escape(bool in_class);
  absl::StatusOr<uint32_t> Hex(int digits);
  absl::StatusOr<uint32_t> UnicodeEscape();
  uint32_t NextCodePoint();

  std::string_view text_;
  size_t at_ = 0;
};

absl::StatusOr<PatternTree> Parser::Atom(int depth) {
  PatternTree tree{PatternTree::kCharacters};
  if (Take('(')) return Group(depth);
  if (Take('[')) {
    ASSIGN_OR_RETURN(tree.characters, Class());
  } else if (Take('\\')) {
    ASSIGN_OR_RETURN(Item item, Escape(/*in_class=*/false));
    tree.characters = std::move(item.set);
  } else if (Take('.')) {
    CodePointSet newlines({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
    tree.characters = newlines.Complement();
  } else if (Peek() == '^') {
    return Error("an anchor in the middle is not supported");
  } else if (Peek() == '*' || Peek() == '+' || Peek() == '?') {
    return Error("nothing to repeat");
  } else {
    const uint32_t character = NextCodePoint();
    tree.characters.Add(character, character);
  }
  return tree;
}

absl::StatusOr<PatternTree> Parser::Group(int depth) {
  if (depth == kMaxPatternDepth) {
    return Error(absl::StrCat("groups are nested deeper than ", kMaxPatternDepth));
  }
  if (LooksAt("?=") || LooksAt("?!")) return Error("lookahead is not supported");
  if (LooksAt("?<=") || LooksAt("?<!")) return Error("lookbehind is not supported");
  if (LooksAt("?<") || LooksAt("?P<")) {
    const size_t close = text_.find('>', at_);
    if (close == std::string_view::npos) return Error("a group's name has no end");
    at_ = close + 1;
  } else if (LooksAt("?:")) {
    at_ += 2;
  } else if (Peek() == '?') {
    return Error("this kind of group is not supported");
  }
  ASSIGN_OR_RETURN(PatternTree tree, Alternatives(depth + 1));
  if (Peek() == '$') return Error("an anchor inside a group is not supported");
  if (!Take(')')) return Error("a group has no end");
  return tree;
}

absl::StatusOr<uint32_t> Parser::Number() {
  uint32_t number = 0;
  if (!absl::ascii_isdigit(Peek())) return Error("a count is expected after '{'");
  for (; absl::ascii_isdigit(Peek()); ++at_) {
    number = number * 10 + static_cast<uint32_t>(Peek() - '0');
    if (number > kMaxPatternRepeat) {
      return Error(absl::StrCat("a count is above ", kMaxPatternRepeat));
    }
  }
  return number;
}

absl::Status Parser::Quantify(PatternTree& part) {
  PatternTree repeat{PatternTree::kRepeat};
  if (Take('?')) {
    repeat.max = 1;
  } else if (Take('+')) {
    repeat.min = 1;
  } else if (Take('{')) {
    ASSIGN_OR_RETURN(repeat.min, Number());
    repeat.max = repeat.min;
    if (Take(',')) {
      repeat.max = PatternTree::kNoMax;
      if (Peek() != '}') {
        ASSIGN_OR_RETURN(repeat.max, Number());
      }
    }
    if (!Take('}')) return Error("a count has no '}'");
    if (repeat.max < repeat.min) return Error("a count's maximum is below its minimum");
  } else if (!Take('*')) {
    return absl::OkStatus();
  }
  Take('?');  // Lazy or not, the strings are the same.
  if (Peek() == '*' || Peek() == '+' || Peek() == '{') return Error("nothing to repeat");
  repeat.parts.push_back(std::move(part));
  part = std::move(repeat);
  return absl::OkStatus();
}

absl::StatusOr<CodePointSet> Parser::Class() {
  const bool negated = Take('^');
  CodePointSet set;
  auto item = [this]() -> absl::StatusOr<Item> {
    if (Take('\\')) return Escape(/*in_class=*/true);
    const uint32_t character = NextCodePoint();
    return Item{CodePointSet({{character, character}}), character};
  };
  while (!Done() && Peek() != ']') {
    ASSIGN_OR_RETURN(Item low, item());
    const bool range = Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
    if (!range) {
      set.Add(low.set);
      continue;
    }
    ++at_;
    ASSIGN_OR_RETURN(Item high, item());
    if (!low.character || !high.character || *low.character > *high.character) {
      return Error("a range of characters is not in order");
    }
    set.Add(*low.character, *high.character);
  }
  if (!Take(']')) return Error("a class of characters has no ']'");
  return negated ? set.Complement() : set;
}

absl::StatusOr<Parser::Item> Parser::Escape(bool in_class) {
  if (Done()) return Error("the pattern ends in a backslash");
  const char letter = Peek();
  if (std::optional<CodePointSet> set = ClassEscape(letter)) {
    ++at_;
    return Item{*std::move(set), std::nullopt};
  }
  static constexpr std::string_view kLetters = "tnvfr", kControls = "\t\n\v\f\r";
  uint32_t character = 0;
  if (const size_t control = kLetters.find(letter); control != std::string_view::npos) {
    character = static_cast<uint32_t>(kControls[control]);
    ++at_;
  } else if (letter == 'b' && in_class) {
    character = '\b';
    ++at_;
  } else if (Take('x')) {
    ASSIGN_OR_RETURN(character, Hex(2));
  } else if (Take('u')) {
    ASSIGN_OR_RETURN(character, UnicodeEscape());
  } else if (letter == '0' &&
             !absl::ascii_isdigit(text_.substr(at_ + 1, 1).empty() ? ' ' : text_[at_ + 1])) {
    ++at_;
  } else if (absl::ascii_isalnum(letter)) {
    return Error(absl::StrCat("\\", Shown(), " is not supported"));
  } else {
    character = NextCodePoint();
  }
  return Item{CodePointSet({{character, character}}), character};
}

absl::StatusOr<uint32_t> Parser::Hex(int digits) {
  uint32_t value = 0;
  for (int i = 0; i < digits; ++i, ++at_) {
    const char c = absl::ascii_tolower(Peek());
    if (!absl::ascii_isxdigit(c)) return Error("a hexadecimal digit is expected");
    value = value * 16 + static_cast<uint32_t>(absl::ascii_isdigit(c) ? c - '0' : c - 'a' + 10);
  }
  return value;
}

absl::StatusOr<uint32_t> Parser::UnicodeEscape() {
  ASSIGN_OR_RETURN(const uint32_t unit, Hex(4));
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  if (unit < 0xdc00 && LooksAt("\\u")) {
    at_ += 2;
    ASSIGN_OR_RETURN(const uint32_t low, Hex(4));
    if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  }
  return Error("half a surrogate pair is no character");
}

// The text is valid UTF-8: JSON was parsed before.
uint32_t Parser::NextCodePoint() {
  const uint8_t lead = static_cast<uint8_t>(text_[at_++]);
  if (lead < 0x80) return lead;
  const int trailing = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  uint32_t value = lead & (0x3fu >> trailing);
  for (int i = 0; i < trailing && !Done(); ++i) {
    value = value << 6 | (static_cast<uint8_t>(text_[at_++]) & 0x3f);
  }
  return value;
}

}  // namespace

absl::StatusOr<std::vector<AnchoredPattern>> ParsePattern(std::string_view pattern) {
  if (!IsValidUtf8(pattern)) return absl::InvalidArgumentError("the pattern is not valid UTF-8");
  return Parser(pattern).Parse();
}

}  // namespace regatta::grammar
