// Literal patterns are sought with memchr and memmem; the others match by PCRE2.
#include "common/text/pattern_replacer.h"

#include <unicode/utf8.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Seeks in a text, forward only.
class Seeker {
 public:
  Seeker(std::string_view text, const std::string& literal, const std::optional<Regex>& regex)
      : text_(text), literal_(literal), regex_(regex) {
    if (regex_.has_value()) scratch_.emplace();
  }

  bool Next(size_t from, Regex::Match& match) {
    if (regex_.has_value()) return regex_->Find(text_, from, *scratch_, match);
    size_t found =
        literal_.size() == 1 ? text_.find(literal_[0], from) : text_.find(literal_, from);
    match = {.begin = found, .end = found + literal_.size()};
    return found != std::string_view::npos;
  }

 private:
  const std::string_view text_;
  const std::string& literal_;
  const std::optional<Regex>& regex_;
  std::optional<Regex::Scratch> scratch_;
};

size_t NextCharacter(std::string_view text, size_t i) {
  U8_FWD_1(reinterpret_cast<const uint8_t*>(text.data()), i, text.size());
  return i;
}

}  // namespace

absl::StatusOr<PatternReplacer> PatternReplacer::Create(const ReplaceRule& rule) {
  PatternReplacer replacer;
  if (rule.pattern.empty()) return absl::InvalidArgumentError("Replace: the pattern is empty");
  replacer.content_ = rule.content;
  if (rule.literal) {
    replacer.literal_ = rule.pattern;
    replacer.single_character_ = NextCharacter(rule.pattern, 0) == rule.pattern.size();
    return replacer;
  }
  absl::StatusOr<Regex> regex = Regex::Compile(rule.pattern, /*literal=*/false);
  if (!regex.ok()) {
    return absl::Status(regex.status().code(), absl::StrCat("Replace: ", regex.status().message()));
  }
  replacer.regex_ = *std::move(regex);
  return replacer;
}

std::string_view PatternReplacer::Apply(std::string_view text, std::string& storage) const {
  Seeker seeker(text, literal_, regex_);
  Regex::Match match;
  if (!seeker.Next(0, match)) return text;
  storage.clear();
  size_t copied = 0, from = 0;
  bool matched_before = false;
  do {
    if (match.begin == match.end && matched_before && match.end == copied) {
      if (copied >= text.size()) break;
      from = NextCharacter(text, copied);  // An empty match right after a match does not count.
      continue;
    }
    storage.append(text.substr(copied, match.begin - copied)).append(content_);
    copied = from = match.end;
    matched_before = true;
  } while (from <= text.size() && seeker.Next(from, match));
  storage.append(text.substr(copied));
  return storage;
}

}  // namespace regatta
