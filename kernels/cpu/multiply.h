// The inner product kernel that linear layers and attention share: a few rows of A times a narrow
// panel of B, sums in registers.
//
// Every element of C is one chain of multiply-adds over the depth, in order, whatever the number of
// rows: a row's result does not depend on the batch it is in. BLAS libraries choose kernels by size
// and do not give that (OpenBLAS 0.3.21 changes bits between 1, 7 and 64 rows); they also pack B on
// every call, which costs more than the product for the few rows of a decoding step.
#pragma once

#include <cstdint>
#include <cstring>

namespace regatta {

// Columns of C that one call makes: two hardware vectors.
constexpr int PanelWidth(int vector_floats) { return 2 * vector_floats; }

namespace internal {

// C[kRows, panel] += A[kRows, depth] B[depth, panel].
template <int kVector, int kRows>
inline void MultiplyTile(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                         int64_t depth, float* c, int64_t c_stride) {
  typedef float Vector __attribute__((vector_size(kVector * sizeof(float))));
  Vector sum[kRows][2];
  for (int r = 0; r < kRows; ++r) {
    std::memcpy(&sum[r][0], c + r * c_stride, sizeof(Vector));
    std::memcpy(&sum[r][1], c + r * c_stride + kVector, sizeof(Vector));
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector low, high;
    std::memcpy(&low, b + k * b_stride, sizeof(Vector));
    std::memcpy(&high, b + k * b_stride + kVector, sizeof(Vector));
    for (int r = 0; r < kRows; ++r) {
      const float x = a[r * a_stride + k];
      sum[r][0] += x * low;
      sum[r][1] += x * high;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    std::memcpy(c + r * c_stride, &sum[r][0], sizeof(Vector));
    std::memcpy(c + r * c_stride + kVector, &sum[r][1], sizeof(Vector));
  }
}

}  // namespace internal

// C[rows, panel] += A[rows, depth] B[depth, panel], where panel is PanelWidth(kVector). Strides are
// in elements.
template <int kVector>
inline void MultiplyPanel(int64_t rows, const float* a, int64_t a_stride, const float* b,
                          int64_t b_stride, int64_t depth, float* c, int64_t c_stride) {
  // As many rows as the vector registers hold sums for: 32 registers with AVX-512, else 16.
  constexpr int kTile = kVector == 16 ? 8 : 6;
  using internal::MultiplyTile;
  int64_t r = 0;
  for (; r + kTile <= rows; r += kTile) {
    MultiplyTile<kVector, kTile>(a + r * a_stride, a_stride, b, b_stride, depth, c + r * c_stride,
                                 c_stride);
  }
  a += r * a_stride;
  c += r * c_stride;
  switch (rows - r) {
    case 1:
      return MultiplyTile<kVector, 1>(a, a_stride, b, b_stride, depth, c, c_stride);
    case 2:
      return MultiplyTile<kVector, 2>(a, a_stride, b, b_stride, depth, c, c_stride);
    case 3:
      return MultiplyTile<kVector, 3>(a, a_stride, b, b_stride, depth, c, c_stride);
    case 4:
      return MultiplyTile<kVector, 4>(a, a_stride, b, b_stride, depth, c, c_stride);
    case 5:
      return MultiplyTile<kVector, 5>(a, a_stride, b, b_stride, depth, c, c_stride);
    case 6:
      return MultiplyTile<kVector, 6>(a, a_stride, b, b_stride, depth, c, c_stride);
    case 7:
      return MultiplyTile<kVector, 7>(a, a_stride, b, b_stride, depth, c, c_stride);
  }
}

}  // namespace regatta
