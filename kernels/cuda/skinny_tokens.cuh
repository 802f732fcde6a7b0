// How tokens come into the shared memory of the kernel of skinny_product.h: as they are, or as the
// norm of a residual. Every block then sums the squares of whole rows, in the order in which a norm
// kernel does (norm_row.cuh), and norms its own part of the depth.
#pragma once

#include "kernels/cuda/norm_row.cuh"
#include "kernels/cuda/skinny_tiles.cuh"

namespace regatta {

namespace skinny {

struct PlainTokens {
  __device__ void Begin(const SkinnyCall&, int, int) {}
  __device__ void Load(const SkinnyCall& call, int begin, int width, float*, char* to) {
    LoadTokens(call, begin, width, to);
  }
};

// T: of the product; R: of the residual and the norm's weight. Loads stand together, in front of
// what needs them: each takes as long as all.
template <typename T, typename R>
class NormedTokens {
 public:
  // Reads what is there before the residual: the norm's weight for bytes [begin, begin + width) of
  // a token, and the scale of the product's input.
  __device__ void Begin(const SkinnyCall& call, int begin, int width) {
    const P* weight = static_cast<const P*>(call.product.norm.weight.data);
    if constexpr (sizeof(T) == 1) {
      inverse_scale_ = 1.0f / *static_cast<const float*>(call.product.x.scale.data);
    }
#pragma unroll
    for (int own = 0; own < kOwnChunks; ++own) {
      const int offset = OffsetOf(own);
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        factors_[own][p] =
            Holds(call, begin, width, offset) ? weight[PackOf(begin + offset) + p] : P{};
      }
    }
  }

  // LoadTokens of the normed rows. `sums`: scratch of the block.
  __device__ void Load(const SkinnyCall& call, int begin, int width, float* sums, char* to) {
    constexpr int kAtOnce = 2;
    MeasureRows(call, begin, width, sums, to);
    __syncthreads();
    const float inverse_rms = RowInverseRms(call, sums);
    const int tokens = static_cast<int>(call.product.norm.residual.shape[0]);
    for (int first = 0; first < tokens; first += kAtOnce) {
      P values[kAtOnce][kOwnChunks][kPacks];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (first + i < tokens) ReadOwn(call, first + i, begin, width, to, values[i]);
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const float scale = __shfl_sync(kAllLanes, inverse_rms, first + i);
        if (first + i < tokens) WriteOwn(first + i, width, scale, values[i], to);
      }
    }
  }

 private:
  static constexpr int kPackSize = kChunk / sizeof(R);
  static constexpr int kPacks = sizeof(R) / sizeof(T);  // of the residual that become a chunk
  static constexpr int kOwnChunks = kNormedDepth / kChunk / kThreads;
  // Between the sums of squares and the scaling, rows stay where they will be scaled.
  static constexpr bool kKeepsRows = kPacks == 1;
  using P = Pack<R, kPackSize>;
  using Chunk = Pack<T, kChunk / sizeof(T)>;

  // The first byte, from the block's part on, of a chunk of this thread.
  static __device__ int OffsetOf(int own) { return (own * kThreads + threadIdx.x) * kChunk; }
  static __device__ int PackOf(int byte) { return byte / kChunk * kPacks; }
  static __device__ bool Holds(const SkinnyCall& call, int begin, int width, int offset) {
    return offset < width && begin + offset < call.row_bytes;
  }
  static __device__ const P* RowOf(const SkinnyCall& call, int token) {
    const Tensor& residual = call.product.norm.residual;
    return reinterpret_cast<const P*>(static_cast<const R*>(residual.data) +
                                      token * residual.row_stride);
  }

  // sums[w][token]: the squares that warp w of a norm kernel sums. A warp stands for several.
  static __device__ void MeasureRows(const SkinnyCall& call, int begin, int width, float* sums,
                                     char* to) {
    constexpr int kAtOnce = 4;
    const Tensor& residual = call.product.norm.residual;
    const int packs = static_cast<int>(residual.shape[1]) / kPackSize, warps = NormWarps(packs);
    const int lane = threadIdx.x % kWarp, shift = 32 - __clz(warps - 1);
    const int runs = static_cast<int>(residual.shape[0]) << shift;
    for (int first = threadIdx.x / kWarp; first < runs; first += kAtOnce * kWarps) {
      float squares[kAtOnce] = {};
      for (int done = 0; done < packs; done += warps * kWarp) {
        P values[kAtOnce];
        int pack[kAtOnce];  // -1: nothing
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
          const int run = first + i * kWarps, warp = run & ((1 << shift) - 1);
          const int at = done + warp * kWarp + lane;
          pack[i] = run < runs && warp < warps && at < packs ? at : -1;
          values[i] = pack[i] >= 0 ? RowOf(call, run >> shift)[at] : P{};
        }
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
          squares[i] = AddSquares(values[i], squares[i]);
          const int token = (first + i * kWarps) >> shift, offset = pack[i] * kChunk - begin;
          if (kKeepsRows && pack[i] >= 0 && offset >= 0 && offset < width) {
            *reinterpret_cast<P*>(to + token * (width + kTokenPad) + offset) = values[i];
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) squares[i] = WarpSum(squares[i]);
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const int run = first + i * kWarps, warp = run & ((1 << shift) - 1);
        if (lane == 0 && run < runs) sums[warp * kTileTokens + (run >> shift)] = squares[i];
      }
    }
  }

  // Of the token that the lane is the number of.
  static __device__ float RowInverseRms(const SkinnyCall& call, const float* sums) {
    const Tensor& residual = call.product.norm.residual;
    const int lane = threadIdx.x % kWarp;
    if (lane >= residual.shape[0]) return 0;
    const int warps = NormWarps(static_cast<int>(residual.shape[1]) / kPackSize);
    float sum = 0;
    for (int warp = 0; warp < warps; ++warp) sum += sums[warp * kTileTokens + lane];
    return InverseRms(sum, residual.shape[1], call.product.norm.eps);
  }

  // The residual of this thread's chunks, zeros where there is none.
  static __device__ void ReadOwn(const SkinnyCall& call, int token, int begin, int width,
                                 const char* kept, P (&values)[kOwnChunks][kPacks]) {
#pragma unroll
    for (int own = 0; own < kOwnChunks; ++own) {
      const int offset = OffsetOf(own);
      const P* from = kKeepsRows
                          ? reinterpret_cast<const P*>(kept + token * (width + kTokenPad) + offset)
                          : RowOf(call, token) + PackOf(begin + offset);
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        values[own][p] = Holds(call, begin, width, offset) ? from[p] : P{};
      }
    }
  }

  // Those chunks, normed.
  __device__ void WriteOwn(int token, int width, float scale, const P (&values)[kOwnChunks][kPacks],
                           char* to) const {
#pragma unroll
    for (int own = 0; own < kOwnChunks; ++own) {
      Chunk chunk;
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
#pragma unroll
        for (int j = 0; j < kPackSize; ++j) {
          float value = Widen(values[own][p].at[j]) * scale * Widen(factors_[own][p].at[j]);
          if constexpr (sizeof(T) == 1) value *= inverse_scale_;
          chunk.at[p * kPackSize + j] = Narrow<T>(value);
        }
      }
      if (OffsetOf(own) >= width) continue;
      *reinterpret_cast<Chunk*>(to + token * (width + kTokenPad) + OffsetOf(own)) = chunk;
    }
  }

  P factors_[kOwnChunks][kPacks];
  float inverse_scale_ = 1;
};

}  // namespace skinny
}  // namespace regatta
