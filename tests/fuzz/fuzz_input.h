// FuzzInput: the bytes of one run of a fuzz target, cut into what the target needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace regatta {

// Called by libFuzzer, or by corpus_main.cc.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

class FuzzInput {
 public:
  // `data` must outlive the input and what it returns.
  FuzzInput(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  // The next byte; 0 behind the end.
  uint8_t Byte() {
    const std::string_view byte = Take(1);
    return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
  }
  // At most `count` bytes.
  std::string_view Take(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // Up to `mark`, which is dropped, or all that is left: files of a corpus stay readable.
  std::string_view Until(std::string_view mark) {
    const size_t end = std::min(rest_.find(mark), rest_.size());
    const std::string_view taken = Take(end);
    Take(mark.size());
    return taken;
  }
  std::string_view Rest() { return Take(rest_.size()); }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// Separates the files or texts that one input holds.
inline constexpr std::string_view kNextPart = "\n=====\n";

// A hash of all bytes (FNV-1a): the seed of random choices, so that an input always does the same.
inline uint32_t SeedOf(std::string_view bytes) {
  uint32_t hash = 2166136261u;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 16777619u;
  return hash;
}

}  // namespace regatta
