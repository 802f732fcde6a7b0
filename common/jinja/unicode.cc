// Python's view of text over ICU's properties and case mappings.
#include "common/jinja/unicode.h"

#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <memory>

#include "common/check.h"
#include "common/text/utf8.h"

namespace regatta::jinja {
namespace {

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

struct CloseCaseMap {
  void operator()(UCaseMap* map) const { ucasemap_close(map); }
};

// Applies one of ICU's UTF-8 mappings, in the root locale.
template <typename Mapping>
std::string MapCase(std::string_view text, Mapping mapping) {
  UErrorCode error = U_ZERO_ERROR;
  std::unique_ptr<UCaseMap, CloseCaseMap> map(ucasemap_open("", 0, &error));
  CHECK(U_SUCCESS(error)) << u_errorName(error);
  std::string out(text.size() * 3, '\0');  // the longest growth that Unicode knows
  int32_t length = mapping(map.get(), out.data(), static_cast<int32_t>(out.size()), text.data(),
                           static_cast<int32_t>(text.size()), &error);
  CHECK(U_SUCCESS(error)) << u_errorName(error);
  out.resize(static_cast<size_t>(length));
  return out;
}

// The title case of one code point: a few have two or three letters ("\u01C6", "\u00DF").
void AppendTitleCase(std::string_view one, std::string& out) {
  if (IsAscii(one)) {
    out.push_back(static_cast<char>(u_toupper(static_cast<UChar32>(one[0]))));
    return;
  }
  out += MapCase(one, [](UCaseMap* map, char* to, int32_t capacity, const char* from,
                         int32_t length, UErrorCode* error) {
    ucasemap_setOptions(map, U_TITLECASE_NO_BREAK_ADJUSTMENT, error);
    return ucasemap_utf8ToTitle(map, to, capacity, from, length, error);
  });
}

bool IsLineBreak(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool IsOneOf(char32_t c, std::string_view one, const std::string_view* chars) {
  return chars == nullptr ? IsSpace(c) : chars->find(one) != std::string_view::npos;
}

}  // namespace

CodePoints::CodePoints(std::string_view text) : text_(text), size_(text.size()) {
  if (IsAscii(text)) return;
  for (size_t i = 0; i < text.size();) {
    offsets_.push_back(static_cast<uint32_t>(i));
    U8_FWD_1(Bytes(text), i, text.size());
  }
  size_ = offsets_.size();
  offsets_.push_back(static_cast<uint32_t>(text.size()));
}

size_t CountCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

char32_t DecodeFirst(std::string_view text, size_t* bytes) {
  UChar32 c;
  *bytes = 0;
  U8_NEXT_OR_FFFD(Bytes(text), *bytes, text.size(), c);
  return static_cast<char32_t>(c);
}

char32_t DecodeLast(std::string_view text, size_t* bytes) {
  UChar32 c;
  size_t i = text.size();
  U8_PREV_UNSAFE(Bytes(text), i, c);
  *bytes = text.size() - i;
  return static_cast<char32_t>(c);
}

void AppendUtf8(char32_t c, std::string& out) {
  if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = 0xFFFD;
  uint8_t buffer[U8_MAX_LENGTH];
  size_t length = 0;
  U8_APPEND_UNSAFE(buffer, length, c);
  out.append(reinterpret_cast<const char*>(buffer), length);
}

bool IsSpace(char32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsPrintable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c < 0x7F;
  constexpr uint32_t kUnprintable = U_GC_C_MASK | U_GC_Z_MASK;
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & kUnprintable) == 0;
}

bool IsAlpha(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_L_MASK) != 0; }

bool IsDecimal(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }

bool IsDigit(char32_t c) {
  const int type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

bool IsNumeric(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool IsUpper(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_UPPERCASE); }

bool IsLower(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_LOWERCASE); }

bool IsCased(char32_t c) {
  return IsUpper(c) || IsLower(c) || u_charType(static_cast<UChar32>(c)) == U_TITLECASE_LETTER;
}

std::string ToUpper(std::string_view text) { return MapCase(text, ucasemap_utf8ToUpper); }

std::string ToLower(std::string_view text) { return MapCase(text, ucasemap_utf8ToLower); }

std::string ToTitle(std::string_view text) {
  std::string lower = ToLower(text), out;
  bool in_word = false;
  // Lower-casing first keeps the final sigma of words, as Python does.
  for (size_t i = 0, length; i < lower.size(); i += length) {
    std::string_view rest = std::string_view(lower).substr(i);
    char32_t c = DecodeFirst(rest, &length);
    if (in_word) {
      out.append(rest.substr(0, length));
    } else {
      AppendTitleCase(rest.substr(0, length), out);
    }
    in_word = IsCased(c);
  }
  return out;
}

std::string Capitalize(std::string_view text) {
  if (text.empty()) return "";
  size_t first;
  DecodeFirst(text, &first);
  std::string out;
  AppendTitleCase(text.substr(0, first), out);
  std::string lower = ToLower(text);
  size_t lower_first;
  DecodeFirst(lower, &lower_first);
  return out.append(lower, lower_first);
}

std::string_view Strip(std::string_view text, Ends ends, const std::string_view* chars) {
  size_t length;
  while (ends != Ends::kRight && !text.empty()) {
    char32_t c = DecodeFirst(text, &length);
    if (!IsOneOf(c, text.substr(0, length), chars)) break;
    text.remove_prefix(length);
  }
  while (ends != Ends::kLeft && !text.empty()) {
    char32_t c = DecodeLast(text, &length);
    if (!IsOneOf(c, text.substr(text.size() - length), chars)) break;
    text.remove_suffix(length);
  }
  return text;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t i = 0, length; i < text.size(); i += length) {
    char32_t c = DecodeFirst(text.substr(i), &length);
    if (!IsLineBreak(c)) continue;
    if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') length = 2;
    lines.push_back(text.substr(begin, i + (keep_ends ? length : 0) - begin));
    begin = i + length;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

}  // namespace regatta::jinja
