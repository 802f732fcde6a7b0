// Copies to shared memory that pass no registers and are waited for in groups (cp.async).
#pragma once

#include <cstdint>

namespace regatta {

// 16 bytes, of which the first `held` are read from memory; the others become zero. Both addresses
// are multiples of 16.
__device__ inline void CopyAsync(void* to, const void* from, int held) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
               "r"(held));
}

// What the cache is told of data that is read once: keep other data rather than this.
__device__ inline uint64_t ReadOncePolicy() {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

// CopyAsync of data that is read once.
__device__ inline void CopyAsyncOnce(void* to, const void* from, int held, uint64_t policy) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2, %3;" ::"r"(address),
               "l"(from), "r"(held), "l"(policy));
}

// Closes this thread's group of copies.
__device__ inline void CommitCopies() { asm volatile("cp.async.commit_group;"); }

// Waits until at most the last `kPending` groups of this thread are under way.
template <int kPending>
__device__ void WaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace regatta
