// Each function is one alternative of the patterns; the order of calls is that of the alternatives,
// and what a regular expression would find by backtracking is written as such.
#include "common/text/known_split.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <array>
#include <utility>

#define REGATTA_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define REGATTA_TAIL R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define REGATTA_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define REGATTA_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define REGATTA_BEFORE R"([^\r\n\p{L}\p{N}]?)"

namespace regatta {
namespace {

enum ClassBits : uint8_t {
  kLetter = 1,
  kNumber = 2,
  kSpace = 4,
  kNewline = 8,  // \r and \n, which are spaces too.
  kUpper = 16,   // Lu, Lt, Lm, Lo and marks.
  kLower = 32,   // Ll, Lm, Lo and marks.
};

uint8_t ClassOf(UChar32 c) {
  constexpr uint32_t kNumbers = U_GC_N_MASK, kMarks = U_GC_M_MASK;
  constexpr uint32_t kUppers = U_GC_LU_MASK | U_GC_LT_MASK | U_GC_LM_MASK | U_GC_LO_MASK | kMarks;
  constexpr uint32_t kLowers = U_GC_LL_MASK | U_GC_LM_MASK | U_GC_LO_MASK | kMarks;
  uint32_t mask = U_GET_GC_MASK(c);
  uint8_t bits = 0;
  if (mask & U_GC_L_MASK) bits |= kLetter;
  if (mask & kNumbers) bits |= kNumber;
  if (mask & kUppers) bits |= kUpper;
  if (mask & kLowers) bits |= kLower;
  if (c == '\r' || c == '\n') bits |= kNewline;
  // Characters that are letters, marks or numbers are never white space.
  if (bits <= kNewline && u_isUWhiteSpace(c)) bits |= kSpace;
  return bits;
}

const std::array<uint8_t, 128>& AsciiClasses() {
  static const std::array<uint8_t, 128> classes = [] {
    std::array<uint8_t, 128> result;
    for (int c = 0; c < 128; ++c) result[c] = ClassOf(c);
    return result;
  }();
  return classes;
}

// A character and where it ends; behind the text a class of no bits, which no run includes.
struct Character {
  uint8_t bits = 0;
  size_t end = 0;
};

Character At(std::string_view text, size_t i) {
  static const std::array<uint8_t, 128>& ascii = AsciiClasses();
  if (i >= text.size()) return {0, i};
  auto byte = static_cast<uint8_t>(text[i]);
  if (byte < 0x80) return {ascii[byte], i + 1};
  UChar32 c;
  U8_NEXT_UNSAFE(reinterpret_cast<const uint8_t*>(text.data()), i, c);
  return {ClassOf(c), i};
}

// End of the run of characters with any of `bits` from `i` on.
size_t RunEnd(std::string_view text, size_t i, uint8_t bits) {
  for (Character c = At(text, i); c.bits & bits; c = At(text, i)) i = c.end;
  return i;
}

bool IsSign(std::string_view text, size_t i, const Character& c) {
  return i < text.size() && !(c.bits & (kLetter | kNumber | kSpace));
}

// End of "'s", "'re" and so on at `i`; `i` when there is none. The long s folds to s.
size_t ContractionEnd(std::string_view text, size_t i, bool ignore_case) {
  if (i + 1 >= text.size() || text[i] != '\'') return i;
  std::string_view rest = text.substr(i + 1);
  if (ignore_case && rest.starts_with("\u017F")) return i + 3;
  auto letter = [&](size_t k) {
    char c = k < rest.size() ? rest[k] : '\0';
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  char first = letter(0), second = letter(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return i + 2;
  bool two = (second == 'e' && (first == 'r' || first == 'v')) || (first == 'l' && second == 'l');
  return two ? i + 3 : i;
}

}  // namespace

const char* const KnownSplit::kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char* const KnownSplit::kLlama3 =
    REGATTA_CONTRACTIONS "|" REGATTA_BEFORE R"(\p{L}+|\p{N}{1,3})"
                         R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)" REGATTA_TAIL;
const char* const KnownSplit::kQwen2 =
    REGATTA_CONTRACTIONS "|" REGATTA_BEFORE R"(\p{L}+|\p{N})"
                         R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)" REGATTA_TAIL;
const char* const KnownSplit::kGpt4o = REGATTA_BEFORE REGATTA_UPPER
    "*" REGATTA_LOWER "+" REGATTA_CONTRACTIONS "?|" REGATTA_BEFORE REGATTA_UPPER "+" REGATTA_LOWER
    "*" REGATTA_CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" REGATTA_TAIL;
const char* const KnownSplit::kTekken = REGATTA_BEFORE REGATTA_UPPER
    "*" REGATTA_LOWER "+|" REGATTA_BEFORE REGATTA_UPPER "+" REGATTA_LOWER
    R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" REGATTA_TAIL;

std::optional<KnownSplit> KnownSplit::Of(std::string_view pattern) {
  KnownSplit split;
  if (pattern == kGpt2) {
    split.letters_ = Letters::kAfterSpace;
  } else if (pattern == kQwen2) {
    split.digits_ = 1;
  } else if (pattern == kGpt4o || pattern == kTekken) {
    split.letters_ = Letters::kCased;
    split.slash_ends_signs_ = true;
    split.contractions_ = pattern == kGpt4o;
    split.digits_ = split.contractions_ ? 3 : 1;
  } else if (pattern != kLlama3) {
    return std::nullopt;
  }
  return split;
}

size_t KnownSplit::PieceEnd(std::string_view text, size_t begin) const {
  if (letters_ == Letters::kAfterSpace) return Gpt2End(text, begin);
  if (letters_ == Letters::kRun) {
    size_t end = ContractionEnd(text, begin, /*ignore_case=*/true);
    if (end > begin) return end;
  }
  if (size_t end = LettersEnd(text, begin); end > begin) return end;
  Character c = At(text, begin);
  if (c.bits & kNumber) {
    size_t end = c.end;
    for (int i = 1; i < digits_ && (c = At(text, end)).bits & kNumber; ++i) end = c.end;
    return end;
  }
  if (size_t end = SignsEnd(text, begin); end > begin) return end;
  return SpaceEnd(text, begin);
}

// "[^\r\n\p{L}\p{N}]?" and letters: first with a character before them, then without.
size_t KnownSplit::LettersEnd(std::string_view text, size_t begin) const {
  Character c = At(text, begin);
  bool before = !(c.bits & (kNewline | kLetter | kNumber));
  if (letters_ == Letters::kRun) {
    size_t end = before ? RunEnd(text, c.end, kLetter) : c.end;
    return before && end > c.end ? end : RunEnd(text, begin, kLetter);
  }
  bool lower = false;
  size_t end = before ? CasedEnd(text, c.end, lower) : c.end;
  if (end == c.end) {
    end = CasedEnd(text, begin, lower);
  } else if (!lower && (c.bits & kLower)) {
    end = c.end;  // A mark alone meets the first alternative; capitals behind it only the second.
  }
  if (end == begin || !contractions_) return end;
  return ContractionEnd(text, end, /*ignore_case=*/true);
}

// "U*L+|U+L*" with the upper class U and the lower L, which both hold marks and letters without
// case; `lower` tells whether the first alternative met.
size_t KnownSplit::CasedEnd(std::string_view text, size_t begin, bool& lower) const {
  size_t both_end = begin;  // Behind the last character of the run of U that is of L too.
  size_t end = begin;
  for (Character c = At(text, end); c.bits & kUpper; c = At(text, end)) {
    end = c.end;
    if (c.bits & kLower) both_end = end;
  }
  size_t lower_end = RunEnd(text, end, kLower);
  lower = lower_end > end || both_end > begin;
  if (lower_end > end) return lower_end;
  return both_end > begin ? both_end : end;  // U* gives back as much as L+ needs.
}

// " ?[^\s\p{L}\p{N}]+[\r\n]*"
size_t KnownSplit::SignsEnd(std::string_view text, size_t begin) const {
  size_t first = begin + (text[begin] == ' ');
  size_t end = first;
  for (Character c = At(text, end); IsSign(text, end, c); c = At(text, end)) end = c.end;
  if (end == first) return begin;
  auto ends_signs = [this](char c) {
    return c == '\r' || c == '\n' || (c == '/' && slash_ends_signs_);
  };
  while (end < text.size() && ends_signs(text[end])) ++end;
  return end;
}

// "\s*[\r\n]+|\s+(?!\S)|\s+": up to the last line break of the run, else all but the last character
// where something follows.
size_t KnownSplit::SpaceEnd(std::string_view text, size_t begin) const {
  size_t end = begin, last = begin, line_end = begin;
  for (Character c = At(text, end); c.bits & kSpace; c = At(text, end)) {
    last = end;
    end = c.end;
    if (c.bits & kNewline) line_end = end;
  }
  if (line_end > begin && letters_ != Letters::kAfterSpace) return line_end;
  return end == text.size() || last == begin ? end : last;
}

size_t KnownSplit::Gpt2End(std::string_view text, size_t begin) const {
  size_t end = ContractionEnd(text, begin, /*ignore_case=*/false);
  if (end > begin) return end;
  size_t first = begin + (text[begin] == ' ');
  Character c = At(text, first);
  if (c.bits & kLetter) return RunEnd(text, first, kLetter);
  if (c.bits & kNumber) return RunEnd(text, first, kNumber);
  if (!IsSign(text, first, c)) return SpaceEnd(text, begin);
  for (end = first; IsSign(text, end, c); c = At(text, end)) end = c.end;
  return end;
}

}  // namespace regatta

#undef REGATTA_CONTRACTIONS
#undef REGATTA_TAIL
#undef REGATTA_UPPER
#undef REGATTA_LOWER
#undef REGATTA_BEFORE
