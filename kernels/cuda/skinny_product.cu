// The kernel of skinny_product.h. Products are transposed, weights times tokens, so that tensor
// cores waste nothing on weights. A block works on units of 64 output features; its warps, and the
// blocks of its cluster, share the depth. Every lane copies the very 16 bytes that it multiplies
// through a ring of its own, so that nothing waits for another thread until a unit ends, and the
// ring stays full over the ends of units. It is filled before the kernel in front has ended.
#include <algorithm>

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/skinny_product.h"

namespace regatta {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kRowTiles = 4;  // of 16 features, of a unit
constexpr int kUnitRows = kRowTiles * 16;
constexpr int kTileTokens = 8;               // columns of one tensor-core product
constexpr int kChunk = 16;                   // bytes of a row that a lane takes at once
constexpr int kWarpDepth = 4 * kChunk;       // bytes of a row that a warp takes in one step
constexpr int kDepth = kWarps * kWarpDepth;  // and a block
constexpr int kStages = 4;
constexpr int kChunks = kRowTiles * 2;     // of a lane in one step: rows 8 apart
constexpr int kSumStride = kUnitRows + 4;  // padded against bank conflicts
constexpr int kSums = kTileTokens * kUnitRows;
constexpr int kMaxCluster = 8;
constexpr int64_t kMostRows = int64_t{1} << 30;  // and bytes of a row

struct SkinnyCall {
  SkinnyProduct product;
  int64_t weight_stride, x_stride;  // bytes between rows
  int row_bytes;                    // that are multiplied
  int cluster, num_units;
  int steps;  // of a unit's whole depth

  // Of block `rank` of a cluster: [first_step(rank), first_step(rank + 1)).
  __device__ int first_step(int rank) const { return rank * steps / cluster; }
};

struct alignas(128) BlockMemory {
  uint4 ring[kWarps][kStages][kChunks][kWarp];
  float partial[kWarps][kTileTokens][kSumStride];  // sums of warps
  float whole[2][kSums];                           // of the block, read by its cluster
};

// Where in its weight rows a thread is: the step of a unit of its cluster.
struct Place {
  int unit, step;

  __device__ void Advance(int first_step, int end_step, int stride) {
    if (++step < end_step) return;
    step = first_step;
    unit += stride;
  }
};

__device__ int LaneDepth(int step) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  return step * kDepth + warp * kWarpDepth + lane % 4 * kChunk;
}

// Begins the copies of one step: rows g, g + 8, ... of the unit, zeros where there are none.
__device__ void CopyWeights(const SkinnyCall& call, const Place& place, uint64_t policy,
                            uint4 (&stage)[kChunks][kWarp]) {
  const Tensor& weight = call.product.weight;
  const int lane = threadIdx.x % kWarp;
  if (place.unit < call.num_units) {
    const int depth = LaneDepth(place.step);
    const int first = place.unit * kUnitRows + lane / 4;
    const int rows = depth < call.row_bytes ? static_cast<int>(weight.shape[0]) - first : 0;
    const char* from = static_cast<const char*>(weight.data) + first * call.weight_stride + depth;
#pragma unroll
    for (int i = 0; i < kChunks; ++i) {
      const bool held = 8 * i < rows;
      CopyAsyncOnce(&stage[i][lane], held ? from + 8 * i * call.weight_stride : weight.data,
                    held ? kChunk : 0, policy);
    }
  }
  CommitCopies();
}

// A lane's 16 bytes of each tile of tokens at a step: token g of the tile, zeros where there is
// none.
template <int kTiles>
struct TokenChunks {
  uint4 at[kTiles];

  __device__ void Load(const SkinnyCall& call, int step) {
    const Tensor& x = call.product.x.values;
    const int depth = LaneDepth(step);
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const int token = n * kTileTokens + static_cast<int>(threadIdx.x) % kWarp / 4;
      const bool held = token < x.shape[0] && depth < call.row_bytes;
      const char* from = static_cast<const char*>(x.data) + token * call.x_stride + depth;
      at[n] = held ? *reinterpret_cast<const uint4*>(from) : uint4{0, 0, 0, 0};
    }
  }
};

template <int kTiles>
using UnitSums = float[kRowTiles][kTiles][4];

// One step of a warp. The order of the depth within a chunk does not matter as both sides have the
// same: its first 8 bytes are the depth of one product, its last 8 that of another.
template <typename T, int kTiles>
__device__ void MultiplyStep(const uint4 (&stage)[kChunks][kWarp],
                             const TokenChunks<kTiles>& tokens, UnitSums<kTiles>& sums) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int r = 0; r < kRowTiles; ++r) {
    const uint4 low = stage[2 * r][lane], high = stage[2 * r + 1][lane];
    const uint32_t first[4] = {low.x, high.x, low.y, high.y};
    const uint32_t last[4] = {low.z, high.z, low.w, high.w};
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const uint4 x = tokens.at[n];
      Mma<T>(sums[r][n], first, {x.x, x.y});
      Mma<T>(sums[r][n], last, {x.z, x.w});
    }
  }
}

__device__ void StoreResult(const SkinnyProduct& product, int64_t feature, int64_t token,
                            float sum) {
  if (feature >= product.out.shape[1]) return;
  if (product.x.scale.data != nullptr) {
    const auto* scales = static_cast<const float*>(product.x.scale.data);
    const float x_scale = scales[product.x.scale.rank == 1 ? 0 : token];
    sum *= x_scale * product.scales.At(product.weight.data, feature, 0);
  }
  if (product.bias.data != nullptr) {
    sum += LoadElement(product.bias.data, product.bias.dtype, feature);
  }
  StoreElement(product.out.data, product.out.dtype, token * product.out.row_stride + feature, sum);
}

// The sums of one tile of tokens over the warps, then over the cluster, in order of rank.
// `whole` alternates from call to call: a block may write it while another reads that of before.
__device__ void FinishTile(const SkinnyCall& call, int unit, int first_token, int rank,
                           const BlockMemory& memory, float (&whole)[kSums]) {
  const int tokens = min(kTileTokens, static_cast<int>(call.product.out.shape[0]) - first_token);
  const auto store = [&](int i, float sum) {
    StoreResult(call.product, int64_t{unit} * kUnitRows + i % kUnitRows,
                first_token + i / kUnitRows, sum);
  };
  __syncthreads();
  for (int i = threadIdx.x; i < tokens * kUnitRows; i += kThreads) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += memory.partial[w][i / kUnitRows][i % kUnitRows];
    if (call.cluster == 1) {
      store(i, sum);
    } else {
      whole[i] = sum;
    }
  }
  if (call.cluster == 1) return __syncthreads();
  SyncCluster();
  for (int i = threadIdx.x + rank * kThreads; i < tokens * kUnitRows;
       i += call.cluster * kThreads) {
    float sum = 0;
    for (int r = 0; r < call.cluster; ++r) sum += LoadOfBlock(&whole[i], r);
    store(i, sum);
  }
}

// Puts a warp's sums of one tile of tokens where the block finds them.
__device__ void KeepSums(const float (&sums)[4], int row_tile,
                         float (&partial)[kTileTokens][kSumStride]) {
  const int lane = threadIdx.x % kWarp;
  const int row = row_tile * 16 + lane / 4, token = lane % 4 * 2;
  partial[token][row] = sums[0];
  partial[token + 1][row] = sums[1];
  partial[token][row + 8] = sums[2];
  partial[token + 1][row + 8] = sums[3];
}

// kTiles: tiles of 8 tokens.
template <typename T, int kTiles>
__global__ void __launch_bounds__(kThreads, 1)
    SkinnyKernel(const __grid_constant__ SkinnyCall call) {
  extern __shared__ __align__(128) unsigned char bytes[];
  auto& memory = *reinterpret_cast<BlockMemory*>(bytes);
  const int warp = threadIdx.x / kWarp, rank = blockIdx.x % call.cluster;
  const int begin = call.first_step(rank), end = call.first_step(rank + 1);
  const int clusters = gridDim.x / call.cluster;
  const uint64_t policy = ReadOncePolicy();
  LetNextBegin();
  Place copied = {static_cast<int>(blockIdx.x) / call.cluster, begin};
  for (int stage = 0; stage < kStages; ++stage) {
    CopyWeights(call, copied, policy, memory.ring[warp][stage]);
    copied.Advance(begin, end, clusters);
  }
  AwaitPrevious();
  TokenChunks<kTiles> tokens, next_tokens;
  tokens.Load(call, begin);
  int stage = 0, parity = 0;
  for (int unit = blockIdx.x / call.cluster; unit < call.num_units; unit += clusters) {
    UnitSums<kTiles> sums = {};
    for (int step = begin; step < end; ++step) {
      next_tokens.Load(call, step + 1 < end ? step + 1 : begin);
      WaitCopies<kStages - 1>();
      MultiplyStep<T, kTiles>(memory.ring[warp][stage], tokens, sums);
      CopyWeights(call, copied, policy, memory.ring[warp][stage]);
      copied.Advance(begin, end, clusters);
      tokens = next_tokens;
      stage = (stage + 1) % kStages;
    }
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      for (int r = 0; r < kRowTiles; ++r) KeepSums(sums[r][n], r, memory.partial[warp]);
      FinishTile(call, unit, n * kTileTokens, rank, memory, memory.whole[parity]);
      parity ^= 1;
    }
  }
  if (call.cluster > 1) SyncCluster();  // what others read stays until they have
}

// Calls fn of the kernel for a product's type and number of tokens.
template <typename Fn>
void WithKernel(const SkinnyProduct& product, const Fn& fn) {
  const int64_t tokens = product.x.values.dim(0);
  const auto with_type = [&](auto zero) {
    using T = decltype(zero);
    if (tokens <= kTileTokens) return fn.template operator()<&SkinnyKernel<T, 1>>();
    if (tokens <= 2 * kTileTokens) return fn.template operator()<&SkinnyKernel<T, 2>>();
    return fn.template operator()<&SkinnyKernel<T, 4>>();
  };
  switch (product.x.values.dtype) {
    case DType::kBFloat16:
      return with_type(__nv_bfloat16{});
    case DType::kFloat16:
      return with_type(__half{});
    default:
      return with_type(__nv_fp8_e4m3{});
  }
}

// Blocks that share the depth: those that take the fewest rounds of units, a unit's end counting as
// half a step.
int ClusterFor(int64_t units, int64_t steps, int num_multiprocessors) {
  int best = 1;
  int64_t best_cost = INT64_MAX;
  for (int cluster = 1; cluster <= std::min<int64_t>(kMaxCluster, steps); cluster *= 2) {
    const int64_t rounds = CeilDiv(units, std::max(1, num_multiprocessors / cluster));
    const int64_t cost = rounds * (2 * CeilDiv(steps, cluster) + 1);
    if (cost < best_cost) {
      best = cluster;
      best_cost = cost;
    }
  }
  return best;
}

int64_t RowBytes(const SkinnyProduct& product) {
  return product.x.values.dim(1) * static_cast<int64_t>(SizeOf(product.x.values.dtype));
}

}  // namespace

bool SkinnyFits(const SkinnyProduct& product) {
  const Tensor& x = product.x.values;
  const bool type =
      x.dtype == DType::kBFloat16 || x.dtype == DType::kFloat16 || x.dtype == DType::kFloat8E4M3;
  const bool scaled_rows =
      !product.x.quantized() || product.x.is_static() || product.x.scale.dim(0) == 1;
  return type && scaled_rows && product.scales.depth_shared == INT_MAX &&
         x.dim(0) <= kSkinnyTokens && WideRows(x) && WideRows(product.weight) &&
         std::max(product.weight.dim(0), RowBytes(product)) < kMostRows;
}

SkinnyShape ShapeSkinnyProduct(const SkinnyProduct& product, int num_multiprocessors) {
  SkinnyShape shape;
  const int64_t units = CeilDiv(product.weight.dim(0), kUnitRows);
  const int64_t steps = CeilDiv(RowBytes(product), kDepth);
  shape.cluster = ClusterFor(units, steps, num_multiprocessors);
  WithKernel(
      product, [&]<auto kKernel>() {
        AllowSharedMemory<kKernel>(sizeof(BlockMemory));
        cudaLaunchAttribute attribute;
        attribute.id = cudaLaunchAttributeClusterDimension;
        attribute.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
        cudaLaunchConfig_t config = {};
        config.gridDim = dim3(num_multiprocessors / shape.cluster * shape.cluster);
        config.blockDim = kThreads;
        config.dynamicSmemBytes = sizeof(BlockMemory);
        config.attrs = &attribute;
        config.numAttrs = 1;
        if (cudaOccupancyMaxActiveClusters(&shape.clusters, kKernel, &config) != cudaSuccess) {
          cudaGetLastError();  // a device without clusters
          shape.clusters = 0;
        }
      });
  shape.clusters = static_cast<int>(std::min<int64_t>(shape.clusters, units));
  return shape;
}

void LaunchSkinnyProduct(const SkinnyProduct& product, const SkinnyShape& shape,
                         cudaStream_t stream) {
  CHECK_GT(shape.clusters, 0);
  const int64_t size = static_cast<int64_t>(SizeOf(product.weight.dtype));
  const int64_t row_bytes = RowBytes(product);
  const SkinnyCall call = {.product = product,
                           .weight_stride = product.weight.row_stride * size,
                           .x_stride = product.x.values.row_stride * size,
                           .row_bytes = static_cast<int>(row_bytes),
                           .cluster = shape.cluster,
                           .num_units = CeilDiv(product.weight.dim(0), kUnitRows),
                           .steps = CeilDiv(row_bytes, kDepth)};
  WithKernel(
      product, [&]<auto kKernel>() {
        AllowSharedMemory<kKernel>(sizeof(BlockMemory));
        LaunchEarly<kKernel>({.grid = dim3(shape.clusters * shape.cluster),
                              .block = kThreads,
                              .shared_bytes = sizeof(BlockMemory),
                              .cluster = shape.cluster},
                             stream, call);
      });
}

}  // namespace regatta
