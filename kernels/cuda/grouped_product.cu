// The kernel of grouped_product.h: blocks of 64 x 64 results, the next steps' operands on their way
// to shared memory while one is multiplied. Weights in E4M3 pass registers, where they are
// unpacked.
#include <mma.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/grouped_product.h"
#include "kernels/cuda/shared_memory.cuh"

namespace regatta {
namespace {

constexpr int kThreads = 128;
constexpr int kStages = 4;
constexpr int kPacksPerRow = 8;  // of 16 bytes: one step's depth
constexpr int kRowsPerPass = kThreads / kPacksPerRow;
constexpr int kPasses = kProductTile / kRowsPerPass;
constexpr int kOutStride = kProductTile + 4;
constexpr int kGatedColumns = kProductTile / 2;

template <typename T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));
template <typename T>
constexpr int kDepth = kPacksPerRow* kPack<T>;
template <typename T>
constexpr int kStride = kDepth<T> + kPack<T>;  // padded against bank conflicts

// Operands of one step.
template <typename T>
struct Stage {
  T x[kProductTile * kStride<T>];
  T weight[kProductTile * kStride<T>];
};

template <typename T>
union Memory {
  Stage<T> stage[kStages];
  float result[kProductTile * kOutStride];
};

// What a block computes: rows of the product, and columns from a first one.
struct Place {
  const void* weight;
  int64_t first_row, end_row, first_column;
};

__device__ Place PlaceOf(const GroupedProduct& product) {
  const int64_t column = int64_t{blockIdx.x} * (product.gated ? kGatedColumns : kProductTile);
  if (product.tiles == nullptr) {
    return {product.weights.at[0], int64_t{blockIdx.y} * kProductTile, product.out.shape[0],
            column};
  }
  const int group = product.tiles[2 * blockIdx.y];
  if (group < 0) return {nullptr, 0, 0, 0};
  return {product.weights.at[group], product.tiles[2 * blockIdx.y + 1], product.start[group + 1],
          column};
}

// The rows that one thread copies from, null outside the matrices. W is T or E4M3.
template <typename T, typename W>
struct Sources {
  const T* x[kPasses];
  const W* weight[kPasses];
  int64_t feature[kPasses];  // the row of the weight

  __device__ Sources(const GroupedProduct& product, const Place& place) {
    const int64_t width = product.out.shape[1];
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int local = threadIdx.x / kPacksPerRow + i * kRowsPerPass;
      const int64_t row = place.first_row + local;
      x[i] = nullptr;
      weight[i] = nullptr;
      feature[i] = 0;
      if (row < place.end_row) {
        const int64_t from = product.x_row == nullptr ? row : product.x_row[row];
        x[i] = static_cast<const T*>(product.x.data) + from * product.x.row_stride;
      }
      int64_t column = place.first_column + local;
      bool inside = column < width;
      if (product.gated) {  // gates left, ups right
        column = place.first_column + local % kGatedColumns;
        inside = column < width;
        column += local / kGatedColumns * width;
      }
      if (inside) {
        weight[i] = static_cast<const W*>(place.weight) + column * product.weight_stride;
        feature[i] = column;
      }
    }
  }
};

// The first of the elements that one thread copies of each of its rows, in a step from `depth` on.
template <typename T>
__device__ int64_t OwnDepth(int64_t depth) {
  return depth + threadIdx.x % kPacksPerRow * kPack<T>;
}

// Where they go in a stage's matrices.
template <typename T>
__device__ int OwnPlace(int pass) {
  const int row = threadIdx.x / kPacksPerRow + pass * kRowsPerPass;
  return row * kStride<T> + threadIdx.x % kPacksPerRow * kPack<T>;
}

// Weights in E4M3 on their way through registers.
template <typename T>
struct PackedWeights {
  Pack<__nv_fp8_e4m3, kPack<T>> at[kPasses];
  float scale[kPasses];

  __device__ void Load(const GroupedProduct& product, const void* matrix,
                       const Sources<T, __nv_fp8_e4m3>& from, int64_t depth) {
    const int64_t k = OwnDepth<T>(depth);
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      at[i] = {};
      scale[i] = 0;
      if (from.weight[i] == nullptr || k >= product.x.shape[1]) continue;
      at[i] = *reinterpret_cast<const Pack<__nv_fp8_e4m3, kPack<T>>*>(from.weight[i] + k);
      scale[i] = product.scales.At(matrix, from.feature[i], k);
    }
  }
  __device__ void Unpack(Stage<T>& stage) const {
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      float wide[kPack<T>];
      WidenPack(at[i], wide);
      Pack<T, kPack<T>> pack;
#pragma unroll
      for (int j = 0; j < kPack<T>; ++j) pack.at[j] = Narrow<T>(wide[j] * scale[i]);
      *reinterpret_cast<Pack<T, kPack<T>>*>(stage.weight + OwnPlace<T>(i)) = pack;
    }
  }
};

// Begins the copy of depths [depth, depth + kDepth), zeros outside the matrices; of x alone when
// the weights are packed. `wide` = rows of x may be read 16 bytes at a time.
template <typename T, typename W>
__device__ void Fetch(const GroupedProduct& product, const Sources<T, W>& from, bool wide,
                      int64_t depth, Stage<T>& stage) {
  const int64_t in = product.x.shape[1];
  const int64_t k = OwnDepth<T>(depth);
#pragma unroll
  for (int i = 0; i < kPasses; ++i) {
    const int to = OwnPlace<T>(i);
    if constexpr (std::is_same_v<T, W>) {
      const bool has_weight = from.weight[i] != nullptr && k < product.weight_stride;
      CopyAsync(stage.weight + to, has_weight ? from.weight[i] + k : product.weights.at[0],
                has_weight ? 16 : 0);
    }
    const int64_t left = from.x[i] == nullptr ? 0 : max(int64_t{0}, in - k);
    if (wide) {
      CopyAsync(stage.x + to, left > 0 ? from.x[i] + k : product.x.data,
                static_cast<int>(min(int64_t{16}, left * static_cast<int64_t>(sizeof(T)))));
    } else {
      for (int j = 0; j < kPack<T>; ++j) {
        stage.x[to + j] = j < left ? from.x[i][k + j] : Narrow<T>(0.0f);
      }
    }
  }
}

// Tensor cores: a warp computes 32 x 32 of the tile, and skips rows that do not exist.
template <typename T>
struct Sums {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> at[2][2];

  static __device__ int Row() { return threadIdx.x / kWarp / 2 * 32; }
  static __device__ int Column() { return threadIdx.x / kWarp % 2 * 32; }

  __device__ Sums() {
    for (auto& row : at) {
      for (auto& sum : row) nvcuda::wmma::fill_fragment(sum, 0.0f);
    }
  }
  __device__ void Add(const Stage<T>& stage, int num_rows) {
    using namespace nvcuda::wmma;
    if (Row() >= num_rows) return;
    const bool both = Row() + 16 < num_rows;
#pragma unroll
    for (int k = 0; k < kDepth<T>; k += 16) {
      fragment<matrix_b, 16, 16, 16, T, col_major> weight[2];
      fragment<matrix_a, 16, 16, 16, T, row_major> x;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        load_matrix_sync(weight[j], stage.weight + (Column() + 16 * j) * kStride<T> + k,
                         kStride<T>);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if (i == 1 && !both) break;
        load_matrix_sync(x, stage.x + (Row() + 16 * i) * kStride<T> + k, kStride<T>);
#pragma unroll
        for (int j = 0; j < 2; ++j) mma_sync(at[i][j], x, weight[j], at[i][j]);
      }
    }
  }
  __device__ void Store(float* out) const {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) {
        nvcuda::wmma::store_matrix_sync(out + (Row() + 16 * i) * kOutStride + Column() + 16 * j,
                                        at[i][j], kOutStride, nvcuda::wmma::mem_row_major);
      }
    }
  }
};

// float32: a thread computes 4 rows x 8 columns, columns 8 apart.
template <>
struct Sums<float> {
  float at[4][8] = {};

  __device__ void Add(const Stage<float>& stage, int) {
    const float* x = stage.x + threadIdx.x / 8 * 4 * kStride<float>;
    const float* weight = stage.weight + threadIdx.x % 8 * kStride<float>;
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

// Bias or gate, and one rounding to the output.
__device__ void Finish(const GroupedProduct& product, const Place& place, const float* result) {
  const int columns = product.gated ? kGatedColumns : kProductTile;
  for (int i = threadIdx.x; i < kProductTile * columns; i += kThreads) {
    const int64_t row = place.first_row + i / columns;
    const int64_t column = place.first_column + i % columns;
    if (row >= place.end_row || column >= product.out.shape[1]) continue;
    float value = result[i / columns * kOutStride + i % columns];
    if (product.gated) {
      const float up = result[i / columns * kOutStride + i % columns + kGatedColumns];
      value = value / (1.0f + expf(-value)) * up;
    }
    if (product.bias.data != nullptr) {
      value += LoadElement(product.bias.data, product.bias.dtype, column);
    }
    StoreElement(product.out.data, product.out.dtype, row * product.out.row_stride + column, value);
  }
}

template <typename T, typename W>
__global__ void __launch_bounds__(kThreads)
    GroupedProductKernel(const __grid_constant__ GroupedProduct product, bool wide) {
  extern __shared__ __align__(128) unsigned char bytes[];
  auto& memory = *reinterpret_cast<Memory<T>*>(bytes);
  const Place place = PlaceOf(product);
  if (place.weight == nullptr) return;
  const Sources<T, W> sources(product, place);
  [[maybe_unused]] PackedWeights<T> packed;
  const int64_t in = product.x.shape[1];
  const int num_rows =
      static_cast<int>(min(int64_t{kProductTile}, place.end_row - place.first_row));
  const int steps = static_cast<int>((in + kDepth<T> - 1) / kDepth<T>);
  const auto fetch = [&](int step) {
    if (step < steps) {
      Fetch(product, sources, wide, int64_t{step} * kDepth<T>, memory.stage[step % kStages]);
      if constexpr (!std::is_same_v<T, W>) {
        packed.Load(product, place.weight, sources, int64_t{step} * kDepth<T>);
      }
    }
    CommitCopies();
  };
  // What was fetched for a step goes to its stage, which nobody multiplies yet.
  const auto unpack = [&](int step) {
    if constexpr (!std::is_same_v<T, W>) {
      if (step < steps) packed.Unpack(memory.stage[step % kStages]);
    }
  };
  for (int step = 0; step < kStages - 1; ++step) {
    fetch(step);
    unpack(step);
  }
  Sums<T> sums;
  for (int step = 0; step < steps; ++step) {
    WaitCopies<kStages - 2>();
    __syncthreads();  // everyone sees this step's operands, and is done with the last step's
    fetch(step + kStages - 1);
    sums.Add(memory.stage[step % kStages], num_rows);
    unpack(step + kStages - 1);
  }
  WaitCopies<0>();
  __syncthreads();
  sums.Store(memory.result);
  __syncthreads();
  Finish(product, place, memory.result);
}

}  // namespace

void LaunchGroupedProduct(const GroupedProduct& product, cudaStream_t stream) {
  const Tensor& x = product.x;
  const bool wide =
      reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && x.row_stride * SizeOf(x.dtype) % 16 == 0;
  CHECK_LE(product.num_tiles, 65535) << "tiles of one launch";
  const int columns = product.gated ? kGatedColumns : kProductTile;
  const dim3 grid(CeilDiv(product.out.dim(1), columns), product.num_tiles);
  const auto launch = [&]<typename T, typename W>(T, W) {
    constexpr int kBytes = sizeof(Memory<T>);
    AllowSharedMemory<&GroupedProductKernel<T, W>>(kBytes);
    GroupedProductKernel<T, W><<<grid, kThreads, kBytes, stream>>>(product, wide);
  };
  DispatchDevice(x.dtype, [&](auto zero) {
    if (product.scales.offset > 0) {
      launch(zero, __nv_fp8_e4m3{});
    } else {
      launch(zero, zero);
    }
  });
}

}  // namespace regatta
