// Formatting of texts and numbers.
#include "common/jinja/format_spec.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/jinja/errors.h"
#include "common/jinja/print.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

bool IsAlign(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

// Takes decimal digits from the front of `text`; -1 when there are none.
absl::StatusOr<int64_t> TakeCount(std::string_view& text) {
  int64_t count = -1;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    count = std::max<int64_t>(count, 0) * 10 + (text[0] - '0');
    if (count > INT32_MAX) return Error("too many digits in a format");
    text.remove_prefix(1);
  }
  return count;
}

bool Take(std::string_view& text, std::string_view choices, char* taken) {
  if (text.empty() || choices.find(text[0]) == std::string_view::npos) return false;
  *taken = text[0];
  text.remove_prefix(1);
  return true;
}

// `head` is the sign and prefix, which '=' keeps left of the filling.
absl::Status Pad(std::string_view head, std::string_view body, char align, const FormatSpec& spec,
                 Runtime& runtime, std::string& out) {
  const auto size = static_cast<int64_t>(CountCodePoints(head) + CountCodePoints(body));
  const auto missing = static_cast<size_t>(std::max<int64_t>(spec.width - size, 0));
  RETURN_IF_ERROR(
      runtime.SpendAppend(out.size(), missing * spec.fill.size() + head.size() + body.size()));
  const size_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  auto fill = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) out += spec.fill;
  };
  if (align == '=') out.append(head);
  fill(left);
  if (align != '=') out.append(head);
  out.append(body);
  fill(missing - left);
  return absl::OkStatus();
}

std::string Digits(Integer value, int base, bool upper) {
  auto magnitude = static_cast<unsigned __int128>(value);
  if (value < 0) magnitude = -magnitude;  // The least integer has no positive one.
  std::string digits;
  do {
    digits.push_back(
        (upper ? "0123456789ABCDEF"
               : "0123456789abcdef")[static_cast<size_t>(magnitude % static_cast<unsigned>(base))]);
    magnitude /= static_cast<unsigned>(base);
  } while (magnitude != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

// Puts `mark` between thousands of the whole part.
std::string Grouped(const std::string& number, char mark) {
  size_t whole = number.find_first_not_of("0123456789");
  whole = std::min(whole, number.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) out.push_back(mark);
    out.push_back(number[i]);
  }
  return out.append(number, whole);
}

// Of a value that is not negative.
std::string FloatDigits(double value, const FormatSpec& spec) {
  const bool upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
  if (!std::isfinite(value)) {
    return std::string(std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf")) +
           (spec.type == '%' ? "%" : "");
  }
  if (spec.type == '\0' && spec.precision < 0) return FloatText(value);
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  char conversion = spec.type == '%' ? 'f' : spec.type == '\0' ? 'g' : spec.type;
  const char format[] = {'%', '.', '*', conversion, '\0'};
  char buffer[400 + kMaxPrecision];
  std::snprintf(buffer, sizeof(buffer), format, precision, spec.type == '%' ? value * 100 : value);
  std::string digits = buffer;
  if (spec.type == '%') digits += "%";
  if (spec.type == '\0' && digits.find_first_of(".e") == std::string::npos) digits += ".0";
  return digits;
}

absl::StatusOr<std::string> IntegerDigits(Integer value, const FormatSpec& spec,
                                          std::string& prefix) {
  switch (spec.type) {
    case 'x':
    case 'X':
      if (spec.alternate) prefix = spec.type == 'x' ? "0x" : "0X";
      return Digits(value, 16, spec.type == 'X');
    case 'o':
      if (spec.alternate) prefix = "0o";
      return Digits(value, 8, false);
    case 'b':
      if (spec.alternate) prefix = "0b";
      return Digits(value, 2, false);
    case 'c': {
      if (value < 0 || value > 0x10FFFF) return Error("%c takes a code point");
      std::string text;
      AppendUtf8(static_cast<char32_t>(value), text);
      return text;
    }
    default:
      return Digits(value, 10, false);
  }
}

}  // namespace

absl::StatusOr<FormatSpec> ParseFormatSpec(std::string_view text) {
  const std::string_view whole = text;
  FormatSpec spec;
  size_t first = 0;
  if (!text.empty()) DecodeFirst(text, &first);
  if (first > 0 && first < text.size() && IsAlign(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else {
    Take(text, "<>^=", &spec.align);
  }
  char unused;
  Take(text, "+- ", &spec.sign);
  spec.alternate = Take(text, "#", &unused);
  if (Take(text, "0", &unused) && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  ASSIGN_OR_RETURN(spec.width, TakeCount(text));
  spec.width = std::max<int64_t>(spec.width, 0);
  Take(text, ",_", &spec.grouping);
  if (Take(text, ".", &unused)) {
    ASSIGN_OR_RETURN(spec.precision, TakeCount(text));
    if (spec.precision < 0) return Error("format specifier '", whole, "' lacks its precision");
  }
  Take(text, "sdxXobceEfFgG%", &spec.type);
  if (!text.empty()) return Error("invalid format specifier '", whole, "'");
  return spec;
}

absl::Status FormatText(std::string_view text, const FormatSpec& spec, Runtime& runtime,
                        std::string& out) {
  if ((spec.type != '\0' && spec.type != 's') || spec.sign != '-' || spec.grouping != '\0') {
    return Error("this format specifier is for numbers, not for strings");
  }
  RETURN_IF_ERROR(runtime.SpendText(text.size()));
  if (spec.precision >= 0) {
    CodePoints points(text);
    text = points.Range(0, std::min(points.size(), static_cast<size_t>(spec.precision)));
  }
  // A "0" before the width fills on the right, as Python does.
  return Pad("", text, spec.align == '\0' || spec.align == '=' ? '<' : spec.align, spec, runtime,
             out);
}

absl::Status FormatNumber(const Value& number, const FormatSpec& spec, Runtime& runtime,
                          std::string& out) {
  if (spec.precision > kMaxPrecision) {
    return Error("a precision is at most ", std::to_string(kMaxPrecision));
  }
  if (spec.type == 's') return Error("format code 's' is for strings, not for numbers");
  const bool wants_float =
      spec.type != '\0' && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  std::string prefix, digits;
  bool negative;
  if (number.IsIntegral() && !wants_float) {
    negative = number.integer() < 0;
    if (spec.precision >= 0) return Error("a precision is not allowed for integers");
    ASSIGN_OR_RETURN(digits, IntegerDigits(number.integer(), spec, prefix));
  } else {
    if (!wants_float && spec.type != '\0') {
      return Error("format code '", std::string(1, spec.type), "' is for integers");
    }
    negative = std::signbit(number.number()) && !std::isnan(number.number());
    digits = FloatDigits(std::abs(number.number()), spec);
  }
  if (spec.grouping != '\0') digits = Grouped(digits, spec.grouping);
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  return Pad(sign + prefix, digits, spec.align == '\0' ? '>' : spec.align, spec, runtime, out);
}

}  // namespace regatta::jinja
