// A coarse partition of bytes: where a state leads back to itself by all bytes of some kinds,
// tokens of these kinds alone need not be tried one by one.
#pragma once

#include <cstdint>

namespace regatta::grammar {

// Bit sets of kinds.
inline constexpr uint8_t kLowerCase = 1;
inline constexpr uint8_t kUpperCase = 2;
inline constexpr uint8_t kDigit = 4;
inline constexpr uint8_t kSpace = 8;
inline constexpr uint8_t kHyphen = 16;
inline constexpr uint8_t kUnderscore = 32;
inline constexpr uint8_t kOtherAscii = 64;  // That may stand for itself in a JSON string.
inline constexpr uint8_t kOtherByte = 128;  // Never leads back: '"', '\', controls, beyond ASCII.

constexpr uint8_t KindOfByte(uint8_t byte) {
  if (byte >= 'a' && byte <= 'z') return kLowerCase;
  if (byte >= 'A' && byte <= 'Z') return kUpperCase;
  if (byte >= '0' && byte <= '9') return kDigit;
  if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') return kOtherByte;
  return byte == ' ' ? kSpace : byte == '-' ? kHyphen : byte == '_' ? kUnderscore : kOtherAscii;
}

}  // namespace regatta::grammar
