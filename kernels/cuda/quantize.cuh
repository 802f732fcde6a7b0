// Rows of activations in E4M3: how a block, or several, finds the scales of a row and writes it. A
// warp takes runs of kScaleGroup features, four to a lane.
#pragma once

#include <algorithm>

#include "kernels/activation.h"
#include "kernels/cuda/element.cuh"

namespace regatta {

inline constexpr int kPerLane = static_cast<int>(kScaleGroup) / kWarp;

// Elements [first, first + kPerLane) of a row of `width`, zeros beyond it. `kWide`: the row may be
// read in packs of kPerLane, and `width` is whole packs.
template <bool kWide, typename T>
__device__ void LoadFew(const T* row, int64_t first, int64_t width, float (&x)[kPerLane]) {
  if constexpr (kWide) {
    using P = Pack<T, kPerLane>;
    const P pack = first < width ? *reinterpret_cast<const P*>(row + first) : P{};
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) x[j] = Widen(pack.at[j]);
  } else {
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) x[j] = first + j < width ? Widen(row[first + j]) : 0.0f;
  }
}

template <bool kWide>
__device__ void StoreFew(const Tensor& out, int64_t row, int64_t first, const float (&x)[kPerLane],
                         float inverse) {
  const int64_t width = out.shape[1];
  auto* to = static_cast<__nv_fp8_e4m3*>(out.data) + row * out.row_stride + first;
  Pack<__nv_fp8_e4m3, kPerLane> pack;
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) pack.at[j] = __nv_fp8_e4m3(x[j] * inverse);
  if constexpr (kWide) {
    if (first < width) *reinterpret_cast<Pack<__nv_fp8_e4m3, kPerLane>*>(to) = pack;
  } else {
    for (int j = 0; j < kPerLane && first + j < width; ++j) to[j] = pack.at[j];
  }
}

__device__ inline float PeakOf(const float (&x)[kPerLane]) {
  float peak = 0;
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) peak = fmaxf(peak, fabsf(x[j]));
  return peak;
}

__device__ inline float ScaleOfPeak(float peak) {
  return fmaxf(peak, kSmallestPeak) * (1 / kFloat8Max);
}

// Row `row` of `out`, whose elements values(first, x) gives a few at a time. All threads of the
// block call it; the blocks along y of the grid share the row, one alone where tokens have a scale.
template <bool kWide, typename Values>
__device__ void StoreQuantizedRow(const Activation& out, int64_t row, const Values& values) {
  const int64_t width = out.values.shape[1];
  const bool is_static = out.scale.rank == 1;
  const bool per_token = !is_static && out.scale.shape[0] == 1;
  const int lane = threadIdx.x % kWarp;
  const int64_t warps = int64_t{gridDim.y} * (blockDim.x / kWarp);
  const int64_t warp = int64_t{blockIdx.y} * (blockDim.x / kWarp) + threadIdx.x / kWarp;
  auto* scales = static_cast<float*>(out.scale.data);
  float x[kPerLane];
  float scale = is_static ? scales[0] : 0.0f;
  if (per_token) {
    float peak = 0;
    for (int64_t run = warp; run * kScaleGroup < width; run += warps) {
      values(run * kScaleGroup + lane * kPerLane, x);
      peak = fmaxf(peak, PeakOf(x));
    }
    scale = ScaleOfPeak(BlockMax(peak));
    if (threadIdx.x == 0) scales[row] = scale;
  }
  for (int64_t run = warp; run * kScaleGroup < width; run += warps) {
    const int64_t first = run * kScaleGroup + lane * kPerLane;
    values(first, x);
    if (!is_static && !per_token) {
      scale = ScaleOfPeak(WarpMax(PeakOf(x)));
      if (lane == 0) scales[run * out.scale.row_stride + row] = scale;
    }
    StoreFew<kWide>(out.values, row, first, x, 1.0f / scale);
  }
}

// Whether rows may be read and written kPerLane elements at a time.
inline bool FewAligned(const Tensor& x) {
  const size_t bytes = kPerLane * SizeOf(x.dtype);
  const bool even_stride = x.rank == 1 || x.row_stride % kPerLane == 0;
  return reinterpret_cast<uintptr_t>(x.data) % bytes == 0 && even_stride &&
         x.dim(x.rank - 1) % kPerLane == 0;
}

// Threads of a block, and blocks along y, for a row of `out`.
struct RowShape {
  int threads;
  int blocks;
};
inline RowShape RowShapeOf(const Activation& out) {
  const int runs = CeilDiv(out.values.dim(1), kScaleGroup);
  if (!out.is_static() && out.scale.dim(0) == 1) return {std::min(runs, 32) * kWarp, 1};
  return {std::min(runs, 8) * kWarp, CeilDiv(runs, 8)};
}

}  // namespace regatta
