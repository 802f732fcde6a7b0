// Compiles plain loops for the widest vectors of the CPU the program runs on: one binary serves any
// x86-64 or aarch64 machine. The compiler vectorises; there are no intrinsics here.
#pragma once

#include <cstdint>
#include <type_traits>

namespace regatta {

enum class VectorIsa { kBaseline, kAvx2, kAvx512 };

// The best instruction set that this CPU has.
VectorIsa HostVectorIsa();
const char* VectorIsaName(VectorIsa isa);

// Float lanes of one hardware vector, as a compile-time constant for loops that block by it.
template <int n>
using VectorFloats = std::integral_constant<int, n>;

constexpr int VectorFloatsOf(VectorIsa isa) {
  return isa == VectorIsa::kAvx512 ? 16 : isa == VectorIsa::kAvx2 ? 8 : 4;
}

namespace internal {

[[noreturn, gnu::cold, gnu::noinline]] void IndexOutOfRange(const char* what, int64_t index,
                                                            int64_t limit);

// `flatten` inlines the body and all it calls, which are then compiled for the named target.
#if defined(__x86_64__)
template <typename Body>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"), gnu::flatten, gnu::noinline]] void
RunAvx512(const Body& body) {
  body(VectorFloats<16>{});
}

template <typename Body>
[[gnu::target("avx2,fma"), gnu::flatten, gnu::noinline]] void RunAvx2(const Body& body) {
  body(VectorFloats<8>{});
}
#endif

template <typename Body>
[[gnu::flatten, gnu::noinline]] void RunBaseline(const Body& body) {
  body(VectorFloats<4>{});
}

}  // namespace internal

// Runs body(VectorFloats<n>) compiled for `isa`, which this CPU must have.
template <typename Body>
void Vectorized(VectorIsa isa, const Body& body) {
#if defined(__x86_64__)
  if (isa == VectorIsa::kAvx512) return internal::RunAvx512(body);
  if (isa == VectorIsa::kAvx2) return internal::RunAvx2(body);
#endif
  internal::RunBaseline(body);
}

// CHECKs 0 <= index < limit inside a Vectorized body, with the message made elsewhere: flattening
// would copy it into every body, once per instruction set.
inline void CheckIndex(const char* what, int64_t index, int64_t limit) {
  if (index < 0 || index >= limit) internal::IndexOutOfRange(what, index, limit);
}

}  // namespace regatta
