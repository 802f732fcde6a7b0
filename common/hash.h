// FNV-1a (Fowler, Noll, Vo): a stable 64-bit hash of bytes, the same in every process and build.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace regatta {

inline uint64_t Fnv1a(absl::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  return hash;
}

}  // namespace regatta
