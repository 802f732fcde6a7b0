// Escaping by table: runs of ordinary bytes are copied whole.
#include "router/openai/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "absl/strings/ascii.h"

namespace regatta {
namespace {

constexpr uint8_t kPlain = 0;
constexpr uint8_t kUnicode = 1;  // \u00XX; anything else is the letter after the backslash

constexpr std::array<uint8_t, 256> MakeEscapes() {
  std::array<uint8_t, 256> escapes{};
  for (int c = 0; c < 0x20; ++c) escapes[c] = kUnicode;
  escapes['\b'] = 'b';
  escapes['\t'] = 't';
  escapes['\n'] = 'n';
  escapes['\f'] = 'f';
  escapes['\r'] = 'r';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  return escapes;
}
constexpr std::array<uint8_t, 256> kEscapes = MakeEscapes();

void AppendEscape(uint8_t byte, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  const uint8_t escape = kEscapes[byte];
  if (escape != kUnicode) {
    out.push_back('\\');
    out.push_back(static_cast<char>(escape));
    return;
  }
  out.append("\\u00");
  out.push_back(kHex[byte >> 4]);
  out.push_back(kHex[byte & 15]);
}

}  // namespace

void AppendEscaped(std::string_view text, std::string& out) {
  size_t copied = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (kEscapes[byte] == kPlain) continue;
    out.append(text, copied, i - copied);
    AppendEscape(byte, out);
    copied = i + 1;
  }
  out.append(text, copied, text.size() - copied);
}

void AppendJsonString(std::string_view text, std::string& out) {
  out.push_back('"');
  AppendEscaped(text, out);
  out.push_back('"');
}

void AppendPathName(std::string_view name, std::string& path) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '$';
  });
  if (plain) {
    if (!path.empty()) path.push_back('.');
    path += name;
    return;
  }
  path.push_back('[');
  AppendJsonString(name, path);
  path.push_back(']');
}

void AppendJsonNumber(uint64_t value, std::string& out) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

void AppendJsonFloat(float value, std::string& out) {
  if (!std::isfinite(value)) {
    out.append("-9999.0");
    return;
  }
  char buffer[48];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

}  // namespace regatta
