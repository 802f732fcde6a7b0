// Oniguruma (Ruby syntax) to PCRE2: the few spellings that differ are rewritten, those that cannot
// be are refused.
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/text/regex.h"

namespace regatta {
namespace {

// PCRE2's own \s adds U+180E, and its \w leaves marks out: both are spelled as Unicode properties.
constexpr char kSpace[] = "\\p{White_Space}";
constexpr char kNotSpace[] = "\\P{White_Space}";
constexpr char kWord[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

class Translator {
 public:
  explicit Translator(const std::string& pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (position_ < pattern_.size()) RETURN_IF_ERROR(Step());
    return std::move(out_);
  }

 private:
  std::string_view Rest() const { return std::string_view(pattern_).substr(position_); }

  void Copy(size_t count) {
    out_.append(Rest().substr(0, count));
    position_ += count;
  }

  void Replace(size_t count, std::string_view text) {
    out_.append(text);
    position_ += count;
  }

  absl::Status Refuse(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat("pattern \"", pattern_, "\", byte ", position_,
                                                   ": ", what, " is not supported"));
  }

  absl::Status Step() {
    switch (pattern_[position_]) {
      case '\\':
        return Escape();
      case '[':
        return OpenClass();
      case ']':
        in_class_ = false;
        break;
      case '&':
        if (in_class_ && Rest().starts_with("&&")) return Refuse("class intersection \"&&\"");
        break;
      case '(':
        if (!in_class_) return OpenGroup();
        break;
      case '}':
        // Possessive in PCRE2, a repeated repetition in Ruby.
        if (!in_class_ && Rest().starts_with("}+")) return Refuse("quantifier \"}+\"");
        break;
      default:
        break;
    }
    Copy(1);
    return absl::OkStatus();
  }

  absl::Status OpenClass() {
    if (in_class_) return Refuse("nested character class \"[\"");
    in_class_ = true;
    Copy(1);
    if (Rest().starts_with("^")) Copy(1);
    if (Rest().starts_with("]")) Copy(1);  // A bracket that comes first is a literal one.
    return absl::OkStatus();
  }

  absl::Status OpenGroup() {
    if (!Rest().starts_with("(?")) {
      if (Rest().starts_with("(*")) return Refuse("verb \"(*\"");
      Copy(1);
      return absl::OkStatus();
    }
    for (std::string_view known :
         {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?i)", "(?-i:", "(?-i)"}) {
      if (Rest().starts_with(known)) {
        Copy(known.size());
        return absl::OkStatus();
      }
    }
    return Refuse(absl::StrCat("group \"", pattern_.substr(position_, 4), "\""));
  }

  absl::Status Escape() {
    if (Rest().size() < 2) return Refuse("a lone \"\\\" at the end");
    char c = Rest()[1];
    switch (c) {
      case 's':
        Replace(2, kSpace);
        return absl::OkStatus();
      case 'S':
        Replace(2, kNotSpace);
        return absl::OkStatus();
      case 'w':
        Replace(2, in_class_ ? kWord : absl::StrCat("[", kWord, "]"));
        return absl::OkStatus();
      case 'W':
        if (in_class_) return Refuse("\"\\W\" in a class");
        Replace(2, absl::StrCat("[^", kWord, "]"));
        return absl::OkStatus();
      case 'p':
      case 'P':
        return Braced(2);
      case 'x':
        return Braced(2);
      case 'u':
        return CodePoint();
      default:
        if (!absl::ascii_ispunct(c) &&
            std::string_view("dDnrtfAz").find(c) == std::string_view::npos) {
          return Refuse(absl::StrCat("escape \"\\", std::string(1, c), "\""));
        }
        Copy(2);
        return absl::OkStatus();
    }
  }

  // \p{...}, \P{...} and \x{...}: copied with their braces; the forms without braces differ between
  // the dialects.
  absl::Status Braced(size_t prefix) {
    size_t close = Rest().find('}');
    if (Rest().size() <= prefix || Rest()[prefix] != '{' || close == std::string_view::npos) {
      return Refuse(absl::StrCat("\"", pattern_.substr(position_, prefix), "\" without braces"));
    }
    Copy(close + 1);
    return absl::OkStatus();
  }

  absl::Status CodePoint() {
    std::string digits(Rest().substr(2, 4));
    for (char digit : digits) {
      if (!absl::ascii_isxdigit(digit)) return Refuse("\"\\u\" without four hexadecimal digits");
    }
    if (digits.size() != 4) return Refuse("\"\\u\" without four hexadecimal digits");
    Replace(6, absl::StrCat("\\x{", digits, "}"));
    return absl::OkStatus();
  }

  const std::string& pattern_;
  size_t position_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> PcreFromOniguruma(const std::string& pattern) {
  return Translator(pattern).Run();
}

}  // namespace regatta
