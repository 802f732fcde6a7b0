// Asks the CPU what it has.
#include "kernels/cpu/vectorize.h"

#include "common/check.h"

namespace regatta {

VectorIsa HostVectorIsa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return VectorIsa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return VectorIsa::kAvx2;
#endif
  return VectorIsa::kBaseline;
}

void internal::IndexOutOfRange(const char* what, int64_t index, int64_t limit) {
  CHECK(false) << what << " " << index << " is not in [0, " << limit << ")";
  __builtin_unreachable();
}

const char* VectorIsaName(VectorIsa isa) {
  switch (isa) {
    case VectorIsa::kBaseline:
      return "baseline";
    case VectorIsa::kAvx2:
      return "avx2";
    case VectorIsa::kAvx512:
      return "avx512";
  }
  return "unknown";
}

}  // namespace regatta
