// int() and float() of Python.
#include "common/jinja/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "common/jinja/unicode.h"

namespace regatta::jinja {
namespace {

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

// Removes "0x", "0o" or "0b" where `base` allows it. Base 0 becomes what the prefix says, or 10.
void TakePrefix(std::string_view& text, int& base) {
  const char mark = text.size() > 2 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : ' ';
  const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (marked != 0 && (base == 0 || base == marked)) {
    base = marked;
    text.remove_prefix(2);
    if (text[0] == '_') text.remove_prefix(1);
  } else if (base == 0) {
    base = 10;
  }
}

// Removes "_" between digits; false when one is anywhere else.
bool TakeUnderscores(std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') continue;
    if (i == 0 || i + 1 == text.size() || DigitOf(text[i - 1]) > 35 || DigitOf(text[i + 1]) > 35) {
      return false;
    }
  }
  text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
  return true;
}

}  // namespace

std::optional<Integer> ParseInteger(std::string_view text, int base) {
  text = Strip(text, Ends::kBoth);
  const bool negative = text.substr(0, 1) == "-";
  if (negative || text.substr(0, 1) == "+") text.remove_prefix(1);
  TakePrefix(text, base);
  std::string digits(text);
  if (digits.empty() || !TakeUnderscores(digits)) return std::nullopt;
  Integer value = 0;
  for (char c : digits) {
    if (DigitOf(c) >= base || __builtin_mul_overflow(value, Integer{base}, &value) ||
        __builtin_sub_overflow(value, Integer{DigitOf(c)}, &value)) {
      return std::nullopt;
    }
  }
  if (!negative && __builtin_sub_overflow(Integer{0}, value, &value)) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  std::string number(Strip(text, Ends::kBoth));
  if (number.empty() || !TakeUnderscores(number)) return std::nullopt;
  std::string lower = ToLower(number);
  if (lower[0] == '-' || lower[0] == '+') lower.erase(0, 1);
  const bool is_word = lower == "inf" || lower == "infinity" || lower == "nan";
  // strtod also takes hexadecimal numbers and "nan(...)".
  if (!is_word && lower.find_first_not_of("0123456789.e+-") != std::string::npos) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (end != number.c_str() + number.size()) return std::nullopt;
  return value;
}

std::optional<Integer> Truncate(double value) {
  if (!(std::abs(value) < 0x1p126)) return std::nullopt;
  return static_cast<Integer>(value);
}

}  // namespace regatta::jinja
