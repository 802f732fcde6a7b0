// RMSNorm (Zhang & Sennrich 2019) on the way of tokens to shared memory, for the kernel of
// skinny_product.h: every block takes the root mean square of whole tokens by itself, then norms,
// and quantises, its own part of them. The same arithmetic as RmsNorm's, but for the order in which
// squares are summed.
#pragma once

#include <type_traits>

#include "kernels/cuda/skinny_tiles.cuh"

namespace regatta {
namespace skinny {

// The type of a token before it is normed to T.
template <typename T>
using NormedFrom = std::conditional_t<sizeof(T) == 2, T, __nv_bfloat16>;

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

// Sums of squares of all tokens, by pieces of a warp's packs.
template <typename X>
__device__ void SumSquares(const SkinnyCall& call, int pieces, float* squares) {
  using P = Pack<X, kNormPack>;
  const int width = static_cast<int>(call.product.x.values.shape[1]);
  const int count = static_cast<int>(call.product.x.values.shape[0]) * pieces;
  const int lane = threadIdx.x % kWarp;
#pragma unroll 2
  for (int i = threadIdx.x / kWarp; i < count; i += kWarps) {
    const int token = i / pieces, first = (i % pieces * kWarp + lane) * kNormPack;
    const P pack =
        first < width ? *reinterpret_cast<const P*>(TokenRow<X>(call, token) + first) : P{};
    float own = 0;
#pragma unroll
    for (int j = 0; j < kNormPack; ++j) own += Widen(pack.at[j]) * Widen(pack.at[j]);
    own = WarpSum(own);
    if (lane == 0) squares[i] = own;
  }
}

// 1 / rms of each token, from its pieces.
__device__ inline void InvertRms(const SkinnyCall& call, int pieces, const float* squares,
                                 float* inverse_rms) {
  const int tokens = static_cast<int>(call.product.x.values.shape[0]);
#pragma unroll 1
  for (int token = threadIdx.x / kWarp; token < tokens; token += kWarps) {
    float sum = 0;
#pragma unroll 1
    for (int i = threadIdx.x % kWarp; i < pieces; i += kWarp) sum += squares[token * pieces + i];
    const float mean = WarpSum(sum) / static_cast<float>(call.product.x.values.shape[1]);
    if (threadIdx.x % kWarp == 0) inverse_rms[token] = rsqrtf(mean + call.product.norm_eps);
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
template <typename T>
__device__ void NormTokens(const SkinnyCall& call, int begin, int width, const char* norm,
                           NormSums& sums, char* to) {
  using X = NormedFrom<T>;
  const SkinnyProduct& product = call.product;
  const auto* weights = reinterpret_cast<const X*>(norm);
  const int pieces = NormPieces(product);
  const auto* scale = static_cast<const float*>(product.x.scale.data);
  const float factor = scale == nullptr ? 1.0f : 1.0f / *scale;
  SumSquares<X>(call, pieces, sums.squares);
  __syncthreads();
  InvertRms(call, pieces, sums.squares, sums.inverse_rms);
  __syncthreads();
  const int chunks = width / kChunk;
  const int count = static_cast<int>(product.x.values.shape[0]) * chunks;
#pragma unroll 1
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const int token = i / chunks, offset = i % chunks * kChunk;
    const int place = offset / static_cast<int>(sizeof(T));
    const X* x = TokenRow<X>(call, token) + begin / static_cast<int>(sizeof(T)) + place;
    *reinterpret_cast<uint4*>(to + token * (width + kTokenPad) + offset) =
        begin + offset < call.row_bytes
            ? NormChunk<T>(x, weights + place, sums.inverse_rms[token], factor)
            : uint4{0, 0, 0, 0};
  }
}

}  // namespace skinny
}  // namespace regatta
