// MemoryReturn: gives memory back to the system once large request bodies are gone. What is read
// from a body takes many times its bytes, and the allocator would keep all of that.
#pragma once

#include <cstddef>
#include <cstdint>

namespace regatta {

class MemoryReturn {
 public:
  // `held`: bytes of bodies in memory; `freed`: those let go of since the start. Gives back what is
  // free once kWorthwhile bytes of bodies, and as many as are still held, have gone since the last
  // time; whether it did. Takes milliseconds then: call it about once a second, from a thread that
  // nobody waits for.
  bool Look(size_t held, uint64_t freed);

  static constexpr uint64_t kWorthwhile = 4 << 20;

 private:
  uint64_t freed_before_ = 0;
};

}  // namespace regatta
