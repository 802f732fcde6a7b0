// Token ids of words seen lately. Bounded: a new word takes the place of the one in its way.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace regatta {

// For one thread at a time, and for one model: words mean nothing to another.
class WordCache {
 public:
  static constexpr size_t kLongestWord = 30;  // Bytes.
  static constexpr size_t kMostIds = 8;

  // The ids of `word`, at least one; empty when it is not here. Valid until the next Insert.
  absl::Span<const int32_t> Find(std::string_view word) const {
    if (entries_.empty() || word.size() > kLongestWord) return {};
    const Entry& entry = entries_[Slot(word)];
    if (entry.size != word.size() || std::memcmp(entry.word, word.data(), word.size()) != 0) {
      return {};
    }
    return absl::MakeConstSpan(entry.ids, entry.count);
  }

  // Keeps `ids` unless word or ids are too long, or there are none.
  void Insert(std::string_view word, absl::Span<const int32_t> ids) {
    if (word.size() > kLongestWord || ids.empty() || ids.size() > kMostIds) return;
    if (entries_.empty()) entries_.resize(kEntries);
    Entry& entry = entries_[Slot(word)];
    std::memcpy(entry.word, word.data(), word.size());
    std::copy(ids.begin(), ids.end(), entry.ids);
    entry.size = static_cast<uint8_t>(word.size());
    entry.count = static_cast<uint8_t>(ids.size());
  }

 private:
  static constexpr size_t kEntries = 8192;  // 512 KiB.
  struct alignas(64) Entry {
    char word[kLongestWord];
    uint8_t size = 0;  // No word is empty.
    uint8_t count = 0;
    int32_t ids[kMostIds];
  };

  template <typename T>
  static uint64_t Load(const char* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  }

  static size_t Slot(std::string_view word) {
    constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;
    const char* data = word.data();
    size_t size = word.size();
    uint64_t hash = size;
    auto mix = [&hash](uint64_t value) {
      hash = (hash ^ value) * kMultiplier;
      hash ^= hash >> 32;
    };
    if (size >= 8) {
      for (size_t i = 0; i + 8 < size; i += 8) mix(Load<uint64_t>(data + i));
      mix(Load<uint64_t>(data + size - 8));
    } else if (size >= 4) {
      mix(Load<uint32_t>(data) | Load<uint32_t>(data + size - 4) << 32);
    } else if (size > 0) {
      mix(Load<uint8_t>(data) | Load<uint8_t>(data + size / 2) << 8 |
          Load<uint8_t>(data + size - 1) << 16);
    }
    return hash * kMultiplier >> 51;  // The upper 13 bits: kEntries.
  }

  std::vector<Entry> entries_;
};

}  // namespace regatta
