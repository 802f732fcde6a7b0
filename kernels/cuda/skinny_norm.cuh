// RMSNorm (Zhang & Sennrich 2019) on the way of tokens to shared memory, for the kernel of
// skinny_product.h: every block takes the root mean square of whole tokens by itself, then norms,
// and quantises, its own part of them. The same arithmetic as RmsNorm's, but for the order in which
// squares are summed.
#pragma once

#include "kernels/cuda/skinny_tiles.cuh"

namespace regatta {
namespace skinny {

inline constexpr int kNormPack = 8;  // 16-bit elements that are read at once

// Begins the copy of the norm's weight beside bytes [begin, begin + width) of the tokens, with the
// thread's next group; zeros beyond what there is.
template <typename T>
__device__ void CopyNorm(const SkinnyCall& call, int begin, int width, char* to) {
  constexpr int kBytes = 2 / sizeof(T);  // for one of the tokens'
  const auto* from = static_cast<const char*>(call.product.norm.data);
  for (int i = threadIdx.x * kChunk; i < width * kBytes; i += kThreads * kChunk) {
    const bool held = begin * kBytes + i < call.row_bytes * kBytes;
    CopyAsync(to + i, held ? from + begin * kBytes + i : from, held ? kChunk : 0);
  }
}

template <typename X>
__device__ const X* TokenRow(const SkinnyCall& call, int token) {
  return reinterpret_cast<const X*>(static_cast<const char*>(call.product.x.values.data) +
                                    token * call.x_stride);
}

// Sums of squares of kCount tokens from `first` on, by warps; tokens that are not there give zero.
template <typename X, int kCount>
__device__ void SumSquares(const SkinnyCall& call, int first, TokenSquares& squares) {
  using P = Pack<X, kNormPack>;
  const int width = static_cast<int>(call.product.x.values.shape[1]);
  const int count = static_cast<int>(call.product.x.values.shape[0]) - first;
  float own[kCount] = {};
#pragma unroll 2
  for (int i = threadIdx.x * kNormPack; i < width; i += kThreads * kNormPack) {
    P packs[kCount];
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      packs[k] = k < count ? *reinterpret_cast<const P*>(TokenRow<X>(call, first + k) + i) : P{};
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
#pragma unroll
      for (int j = 0; j < kNormPack; ++j) own[k] += Widen(packs[k].at[j]) * Widen(packs[k].at[j]);
    }
  }
#pragma unroll
  for (int k = 0; k < kCount; ++k) {
    own[k] = WarpSum(own[k]);
    if (threadIdx.x % kWarp == 0 && k < count) squares[first + k][threadIdx.x / kWarp] = own[k];
  }
}

// kChunk bytes of a normed token.
template <typename T, typename X>
__device__ uint4 NormChunk(const X* x, const X* norm, float scale, float factor) {
  constexpr int kCount = kChunk / sizeof(T);
  using P = Pack<X, kNormPack>;
  alignas(kChunk) T chunk[kCount];
#pragma unroll
  for (int first = 0; first < kCount; first += kNormPack) {
    const P values = *reinterpret_cast<const P*>(x + first);
    const P weights = *reinterpret_cast<const P*>(norm + first);
#pragma unroll
    for (int j = 0; j < kNormPack; ++j) {
      chunk[first + j] = Narrow<T>(Widen(values.at[j]) * scale * Widen(weights.at[j]) * factor);
    }
  }
  return *reinterpret_cast<const uint4*>(chunk);
}

// LoadTokens of tokens that are normed on the way. `norm`: what CopyNorm began to copy, which this
// thread has awaited.
template <typename T, typename X>
__device__ void NormTokensOf(const SkinnyCall& call, int begin, int width, const char* norm,
                             TokenSquares& squares, char* to) {
  const SkinnyProduct& product = call.product;
  const auto* weights = reinterpret_cast<const X*>(norm);
  const int tokens = static_cast<int>(product.x.values.shape[0]);
  const auto* scale = static_cast<const float*>(product.x.scale.data);
  const float factor = scale == nullptr ? 1.0f : 1.0f / *scale;
  if (tokens == 1) {
    SumSquares<X, 1>(call, 0, squares);
  } else {
    for (int first = 0; first < tokens; first += 4) SumSquares<X, 4>(call, first, squares);
  }
  __syncthreads();
  for (int token = 0; token < tokens; ++token) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += squares[token][w];
    const float inverse_rms =
        rsqrtf(sum / static_cast<float>(product.x.values.shape[1]) + product.norm_eps);
    for (int i = threadIdx.x * kChunk; i < width; i += kThreads * kChunk) {
      const int place = i / static_cast<int>(sizeof(T));
      const X* x = TokenRow<X>(call, token) + begin / static_cast<int>(sizeof(T)) + place;
      *reinterpret_cast<uint4*>(to + token * (width + kTokenPad) + i) =
          begin + i < call.row_bytes ? NormChunk<T>(x, weights + place, inverse_rms, factor)
                                     : uint4{0, 0, 0, 0};
    }
  }
}

template <typename T>
__device__ void NormTokens(const SkinnyCall& call, int begin, int width, const char* norm,
                           TokenSquares& squares, char* to) {
  if constexpr (sizeof(T) == 2) {
    NormTokensOf<T, T>(call, begin, width, norm, squares, to);
  } else if (call.product.x.values.dtype == DType::kFloat16) {
    NormTokensOf<T, __half>(call, begin, width, norm, squares, to);
  } else {
    NormTokensOf<T, __nv_bfloat16>(call, begin, width, norm, squares, to);
  }
}

}  // namespace skinny
}  // namespace regatta
