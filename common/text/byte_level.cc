// The byte-level alphabet as a table over the code points 0 to 323, the only ones it uses.
#include "common/text/byte_level.h"

#include <unicode/utf8.h>

#include <array>
#include <cstdint>

namespace regatta {
namespace {

// code point -> byte, or -1. Printable Latin-1 stands for itself; the 68 other bytes follow from
// U+0100 in order.
constexpr std::array<int16_t, 324> MakeAlphabet() {
  std::array<int16_t, 324> byte_of{};
  for (auto& byte : byte_of) byte = -1;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    byte_of[printable ? byte : next++] = static_cast<int16_t>(byte);
  }
  return byte_of;
}

constexpr std::array<int16_t, 324> kAlphabet = MakeAlphabet();

}  // namespace

std::optional<std::string> BytesOfByteLevel(std::string_view token) {
  const auto* data = reinterpret_cast<const uint8_t*>(token.data());
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    UChar32 c;
    U8_NEXT(data, i, token.size(), c);
    if (c < 0 || c >= static_cast<UChar32>(kAlphabet.size()) || kAlphabet[c] < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(kAlphabet[c]));
  }
  return bytes;
}

}  // namespace regatta
