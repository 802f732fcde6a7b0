// Text as Python sees it: code points over well-formed UTF-8, Python's white space, cases and
// lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace regatta::jinja {

// Random access to the code points of `text`, which must outlive it.
class CodePoints {
 public:
  explicit CodePoints(std::string_view text);
  size_t size() const { return size_; }
  // The bytes of code points [begin, end).
  std::string_view Range(size_t begin, size_t end) const {
    return text_.substr(Offset(begin), Offset(end) - Offset(begin));
  }
  std::string_view operator[](size_t i) const { return Range(i, i + 1); }

 private:
  size_t Offset(size_t i) const { return offsets_.empty() ? i : offsets_[i]; }

  std::string_view text_;
  size_t size_;
  std::vector<uint32_t> offsets_;  // of every code point and the end; none when all are ASCII
};

size_t CountCodePoints(std::string_view text);

// The first code point of a text that is not empty, and how many bytes it takes.
char32_t DecodeFirst(std::string_view text, size_t* bytes);
// The same of the last one.
char32_t DecodeLast(std::string_view text, size_t* bytes);
// Surrogates and what is beyond Unicode become U+FFFD.
void AppendUtf8(char32_t c, std::string& out);

// str.isspace, str.isprintable and their like, of one code point.
bool IsSpace(char32_t c);
bool IsPrintable(char32_t c);
bool IsAlpha(char32_t c);
bool IsDecimal(char32_t c);
bool IsDigit(char32_t c);
bool IsNumeric(char32_t c);
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
bool IsCased(char32_t c);

// str.upper, str.lower, str.title, str.capitalize. At most three times as long as `text`.
std::string ToUpper(std::string_view text);
std::string ToLower(std::string_view text);
std::string ToTitle(std::string_view text);
std::string Capitalize(std::string_view text);

// Without the white space, or the code points of *chars, at the chosen ends.
enum class Ends { kLeft, kRight, kBoth };
std::string_view Strip(std::string_view text, Ends ends, const std::string_view* chars = nullptr);

// str.splitlines. `keep_ends` leaves each line its terminator.
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);

}  // namespace regatta::jinja
