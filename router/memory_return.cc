// See memory_return.h.
#include "router/memory_return.h"

#include <algorithm>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace regatta {

bool MemoryReturn::Look(size_t held, uint64_t freed) {
  if (freed - freed_before_ < std::max<uint64_t>(held, kWorthwhile)) return false;
  freed_before_ = freed;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return true;
}

}  // namespace regatta
