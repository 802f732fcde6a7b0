// Rows of any storage dtype to float32 and back. Inline; used inside Vectorized bodies.
#pragma once

#include <cstdint>

#include "kernels/dtype.h"

namespace regatta {

// The address of element `index` of `tensor` counted along dense memory.
inline void* ElementOf(const Tensor& tensor, int64_t index) {
  return tensor.as<char>() + index * static_cast<int64_t>(SizeOf(tensor.dtype));
}

inline void Widen(const void* from, DType dtype, int64_t n, float* to) {
  DispatchStorage(dtype, [&](auto zero) {
    const auto* x = static_cast<const decltype(zero)*>(from);
    for (int64_t i = 0; i < n; ++i) to[i] = ToFloat(x[i]);
  });
}

inline void Narrow(const float* from, int64_t n, DType dtype, void* to) {
  DispatchStorage(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* x = static_cast<T*>(to);
    for (int64_t i = 0; i < n; ++i) x[i] = FromFloat<T>(from[i]);
  });
}

}  // namespace regatta
