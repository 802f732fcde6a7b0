// UTF-8 validation and replacement over ICU's utf8.h macros, with a fast path over ASCII.
#include "common/text/utf8.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace regatta {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// First position at or after `i` that may hold a byte above 0x7F; eight bytes at a time.
size_t SkipAscii(std::string_view bytes, size_t i) {
  while (i + sizeof(uint64_t) <= bytes.size()) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, sizeof(word));
    if (word & 0x8080808080808080u) break;
    i += sizeof(word);
  }
  while (i < bytes.size() && static_cast<uint8_t>(bytes[i]) < 0x80) ++i;
  return i;
}

// Length of the longest well-formed prefix.
size_t ValidPrefix(std::string_view bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t i = 0;
  while ((i = SkipAscii(bytes, i)) < bytes.size()) {
    size_t next = i;
    UChar32 c;
    U8_NEXT(data, next, bytes.size(), c);
    if (c < 0) return i;
    i = next;
  }
  return i;
}

}  // namespace

bool IsAscii(std::string_view bytes) { return SkipAscii(bytes, 0) == bytes.size(); }

size_t CharacterCount(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

bool IsValidUtf8(std::string_view bytes) { return ValidPrefix(bytes) == bytes.size(); }

void AppendUtf8Lossy(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    size_t valid = ValidPrefix(bytes);
    out.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    // ICU advances over exactly one maximal subpart when it meets an ill-formed sequence.
    size_t skipped = 0;
    UChar32 c;
    U8_NEXT(reinterpret_cast<const uint8_t*>(bytes.data()), skipped, bytes.size(), c);
    out.append(kReplacement);
    bytes.remove_prefix(skipped);
  }
}

void AppendUtf8PerByte(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    size_t valid = ValidPrefix(bytes);
    out.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    out.append(kReplacement);
    bytes.remove_prefix(1);
  }
}

size_t IncompleteUtf8Suffix(std::string_view bytes) {
  std::string_view tail = bytes.substr(bytes.size() > 4 ? bytes.size() - 4 : 0);
  const auto* data = reinterpret_cast<const uint8_t*>(tail.data());
  auto length = static_cast<int32_t>(tail.size());
  U8_TRUNCATE_IF_INCOMPLETE(data, 0, length);
  return tail.size() - static_cast<size_t>(length);
}

}  // namespace regatta
