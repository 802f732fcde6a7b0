// When tokens arrived, to the millisecond: 4 bytes for each that a point lasts, however many come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace regatta {

class TokenTimeline {
 public:
  // `at_ms` from the start of the point; before it counts as its first millisecond.
  void Add(double at_ms, uint32_t tokens);
  // Adds all of `other`, which has the same start.
  void Merge(const TokenTimeline& other);

  // Tokens of the milliseconds that begin in [from_ms, to_ms).
  double Between(double from_ms, double to_ms) const;
  // The most that came within `window_ms` whole milliseconds.
  uint64_t MostWithin(uint32_t window_ms) const;
  // Milliseconds up to the last token.
  size_t size() const { return tokens_.size(); }

 private:
  std::vector<uint32_t> tokens_;  // by millisecond
};

}  // namespace regatta
