// Places: how many requests a client thread may have running, and since when each place is free.
#pragma once

#include <cstdint>
#include <deque>

namespace regatta {

class Places {
 public:
  // `unlimited`: there is always a place, free since `start_ns`.
  Places(bool unlimited, int64_t start_ns) : unlimited_(unlimited), start_ns_(start_ns) {}

  // Makes places until there are `count`.
  void Grow(uint32_t count, int64_t now_ns) {
    for (; made_ < count; ++made_) free_since_.push_back(now_ns);
  }
  bool any_free() const { return unlimited_ || !free_since_.empty(); }
  // Takes the place that has been free longest; since when it has. One must be free.
  int64_t Take() {
    if (unlimited_) return start_ns_;
    const int64_t since_ns = free_since_.front();
    free_since_.pop_front();
    return since_ns;
  }
  void Release(int64_t now_ns) {
    if (!unlimited_) free_since_.push_back(now_ns);
  }

 private:
  const bool unlimited_;
  const int64_t start_ns_;
  uint32_t made_ = 0;
  std::deque<int64_t> free_since_;
};

}  // namespace regatta
