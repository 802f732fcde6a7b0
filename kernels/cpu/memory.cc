// calloc, aligned by hand.
#include "kernels/cpu/memory.h"

#include <cstdint>
#include <cstdlib>

namespace regatta {

Buffer AllocateZeroed(size_t num_bytes) {
  constexpr size_t kAlignment = 256;
  CHECK_GT(num_bytes, size_t{0});
  // calloc leaves large blocks to the kernel's zero pages, which aligned_alloc and memset would all
  // touch.
  void* block = std::calloc(num_bytes + kAlignment, 1);
  if (block == nullptr) return {};
  const uintptr_t address = reinterpret_cast<uintptr_t>(block);
  void* aligned = reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
  return Buffer(aligned, num_bytes, [block](void*) { std::free(block); });
}

}  // namespace regatta
