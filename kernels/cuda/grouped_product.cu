#include "kernels/cuda/grouped_product.h"

#include <mma.h>

#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

constexpr int kThreads = 128;
constexpr int kOutStride = kProductTile + 4;

// Depth of one step: 64 bytes of every row.
template <typename T>
constexpr int kDepth = 64 / static_cast<int>(sizeof(T));
template <typename T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));
template <typename T>
constexpr int kStride = kDepth<T> + kPack<T>;  // padded against bank conflicts

template <typename T>
struct Tiles {
  alignas(128) T x[kProductTile * kStride<T>];
  alignas(128) T weight[kProductTile * kStride<T>];
};

// The packs that one thread moves per step: rows thread / 4 and thread / 4 + 32, pack thread % 4.
template <typename T>
struct Moved {
  Pack<T, kPack<T>> x[2];
  Pack<T, kPack<T>> weight[2];
};

// What a block computes.
struct Place {
  const void* weight;
  int64_t first_row, end_row;  // of the product
  int64_t first_column;
};

__device__ Place PlaceOf(const GroupedProduct& product) {
  const int64_t column = int64_t{blockIdx.x} * kProductTile;
  if (product.tiles == nullptr) {
    return {product.weights.at[0], int64_t{blockIdx.y} * kProductTile, product.out.shape[0], column};
  }
  const int group = product.tiles[2 * blockIdx.y];
  if (group < 0) return {nullptr, 0, 0, 0};
  return {product.weights.at[group], product.tiles[2 * blockIdx.y + 1], product.start[group + 1],
          column};
}

// `wide` = rows of x may be read 16 bytes at a time. Zeros outside the matrices.
template <typename T>
__device__ void Fetch(const GroupedProduct& product, const Place& place, bool wide, int64_t depth,
                      Moved<T>& moved) {
  const int64_t in = product.x.shape[1];
  const int64_t k = depth + threadIdx.x % 4 * kPack<T>;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int local = threadIdx.x / 4 + 32 * i;
    moved.x[i] = {};
    moved.weight[i] = {};
    const int64_t row = place.first_row + local;
    if (row < place.end_row) {
      const int64_t from = product.x_row == nullptr ? row : product.x_row[row];
      const T* x = static_cast<const T*>(product.x.data) + from * product.x.row_stride + k;
      if (wide && k + kPack<T> <= in) {
        moved.x[i] = *reinterpret_cast<const Pack<T, kPack<T>>*>(x);
      } else {
#pragma unroll
        for (int j = 0; j < kPack<T>; ++j) {
          if (k + j < in) moved.x[i].at[j] = x[j];
        }
      }
    }
    const int64_t column = place.first_column + local;
    if (column < product.out.shape[1] && k < product.weight_stride) {
      const T* weight = static_cast<const T*>(place.weight) + column * product.weight_stride + k;
      moved.weight[i] = *reinterpret_cast<const Pack<T, kPack<T>>*>(weight);
    }
  }
}

template <typename T>
__device__ void Put(const Moved<T>& moved, Tiles<T>& tiles) {
  using P = Pack<T, kPack<T>>;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int to = (threadIdx.x / 4 + 32 * i) * kStride<T> + threadIdx.x % 4 * kPack<T>;
    *reinterpret_cast<P*>(tiles.x + to) = moved.x[i];
    *reinterpret_cast<P*>(tiles.weight + to) = moved.weight[i];
  }
}

// Tensor cores: a warp computes 32 x 32 of the tile.
template <typename T>
struct Sums {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> at[2][2];

  __device__ Sums() {
    for (auto& row : at) {
      for (auto& sum : row) nvcuda::wmma::fill_fragment(sum, 0.0f);
    }
  }
  __device__ void Add(const Tiles<T>& tiles) {
    using namespace nvcuda::wmma;
    const int row = threadIdx.x / kWarp / 2 * 32, column = threadIdx.x / kWarp % 2 * 32;
#pragma unroll
    for (int k = 0; k < kDepth<T>; k += 16) {
      fragment<matrix_a, 16, 16, 16, T, row_major> x[2];
      fragment<matrix_b, 16, 16, 16, T, col_major> weight[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        load_matrix_sync(x[i], tiles.x + (row + 16 * i) * kStride<T> + k, kStride<T>);
        load_matrix_sync(weight[i], tiles.weight + (column + 16 * i) * kStride<T> + k, kStride<T>);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < 2; ++j) mma_sync(at[i][j], x[i], weight[j], at[i][j]);
      }
    }
  }
  __device__ void Store(float* out) const {
    const int row = threadIdx.x / kWarp / 2 * 32, column = threadIdx.x / kWarp % 2 * 32;
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) {
        nvcuda::wmma::store_matrix_sync(out + (row + 16 * i) * kOutStride + column + 16 * j,
                                        at[i][j], kOutStride, nvcuda::wmma::mem_row_major);
      }
    }
  }
};

// float32: a thread computes 4 rows x 8 columns, columns 8 apart.
template <>
struct Sums<float> {
  float at[4][8] = {};

  __device__ void Add(const Tiles<float>& tiles) {
    const float* x = tiles.x + threadIdx.x / 8 * 4 * kStride<float>;
    const float* weight = tiles.weight + threadIdx.x % 8 * kStride<float>;
    for (int k = 0; k < kDepth<float>; ++k) {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const float w = weight[8 * j * kStride<float> + k];
#pragma unroll
        for (int i = 0; i < 4; ++i) at[i][j] += x[i * kStride<float> + k] * w;
      }
    }
  }
  __device__ void Store(float* out) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        out[(threadIdx.x / 8 * 4 + i) * kOutStride + threadIdx.x % 8 + 8 * j] = at[i][j];
      }
    }
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    GroupedProductKernel(const __grid_constant__ GroupedProduct product, bool wide) {
  __shared__ Tiles<T> tiles;
  __shared__ alignas(128) float result[kProductTile * kOutStride];
  const Place place = PlaceOf(product);
  if (place.weight == nullptr) return;
  Sums<T> sums;
  Moved<T> moved;
  Fetch(product, place, wide, 0, moved);
  const int64_t in = product.x.shape[1];
  for (int64_t depth = 0; depth < in; depth += kDepth<T>) {
    __syncthreads();
    Put(moved, tiles);
    __syncthreads();
    if (depth + kDepth<T> < in) Fetch(product, place, wide, depth + kDepth<T>, moved);
    sums.Add(tiles);
  }
  sums.Store(result);
  __syncthreads();
  for (int i = threadIdx.x; i < kProductTile * kProductTile; i += kThreads) {
    const int64_t row = place.first_row + i / kProductTile;
    const int64_t column = place.first_column + i % kProductTile;
    if (row >= place.end_row || column >= product.out.shape[1]) continue;
    float value = result[i / kProductTile * kOutStride + i % kProductTile];
    if (product.bias.data != nullptr) {
      value += LoadElement(product.bias.data, product.bias.dtype, column);
    }
    StoreElement(product.out.data, product.out.dtype, row * product.out.row_stride + column, value);
  }
}

}  // namespace

void LaunchGroupedProduct(const GroupedProduct& product, cudaStream_t stream) {
  const Tensor& x = product.x;
  const bool wide = reinterpret_cast<uintptr_t>(x.data) % 16 == 0 &&
                    x.row_stride * SizeOf(x.dtype) % 16 == 0;
  CHECK_LE(product.num_tiles, 65535) << "tiles of one launch";
  const dim3 grid(CeilDiv(product.out.dim(1), kProductTile), product.num_tiles);
  DispatchDevice(x.dtype, [&](auto zero) {
    GroupedProductKernel<decltype(zero)><<<grid, kThreads, 0, stream>>>(product, wide);
  });
}

}  // namespace regatta
