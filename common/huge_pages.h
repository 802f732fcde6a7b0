// Memory of large tables that are read at random: on huge pages where the kernel has some, so that
// a read misses the cache at most, not the page tables too.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace regatta {

// A standard allocator. Small allocations are ordinary ones; large ones are aligned to huge pages
// and ask for them, which the kernel may ignore.
template <typename T>
struct HugePageAllocator {
  using value_type = T;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}

  T* allocate(size_t n) {
    const size_t bytes = n * sizeof(T);
    if (bytes < kHugePage) return static_cast<T*>(::operator new(bytes));
    void* memory = ::operator new(bytes, std::align_val_t(kHugePage));
    (void)madvise(memory, bytes, MADV_HUGEPAGE);  // Only a wish.
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t n) {
    if (n * sizeof(T) < kHugePage) return ::operator delete(memory);
    ::operator delete(memory, std::align_val_t(kHugePage));
  }

  bool operator==(const HugePageAllocator&) const { return true; }

 private:
  static constexpr size_t kHugePage = 2 << 20;
};

}  // namespace regatta
