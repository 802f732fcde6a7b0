// The kernel of skinny_product.h. Products are transposed, weights times tokens, so that tensor
// cores waste nothing on weights. A block works on units of 64 output features; its warps, and the
// blocks of its cluster, share the depth. Every warp streams its own part of the weights through a
// ring of its own, which is filled before the kernel in front has ended and stays full over the
// ends of units: warps wait for one another there alone. The tokens' part of the depth lies in
// shared memory from the start, as nothing is slower than a load behind a ring of them.
#include <algorithm>
#include <type_traits>

#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/skinny_product.h"
#include "kernels/cuda/skinny_tiles.cuh"

namespace regatta {
namespace {

using namespace skinny;  // NOLINT: the parts of this file

// kTiles: tiles of 8 tokens.
template <typename T, int kTiles>
__global__ void __launch_bounds__(kThreads, 1)
    SkinnyKernel(const __grid_constant__ SkinnyCall call) {
  extern __shared__ __align__(128) unsigned char bytes[];
  constexpr int kStages = StagesOf(kTiles);
  auto& memory = *reinterpret_cast<BlockMemory<kStages>*>(bytes);
  char* const tokens = reinterpret_cast<char*>(&memory + 1);
  const int warp = threadIdx.x / kWarp, rank = blockIdx.x % call.cluster;
  const int begin = call.first_step(rank), end = call.first_step(rank + 1);
  const int first_unit = blockIdx.x / call.cluster, clusters = gridDim.x / call.cluster;
  const int width = (end - begin) * kDepth, num_tokens = call.product.x.values.shape[0];
  const uint64_t policy = ReadOncePolicy();
  LetNextBegin();
  Place copied = {first_unit, begin};
  for (int stage = 0; stage < kStages; ++stage) {
    CopyWeights(call, copied, policy, memory.ring[warp][stage]);
    copied.Advance(begin, end, clusters);
  }
  const SkinnyProduct& product = call.product;
  const CommonScales common(product.x, product.weight, product.scales, product.out_scale);
  AwaitPrevious();
  LoadTokens(call, begin * kDepth, width, tokens);
  __syncthreads();
  int stage = 0, parity = 0;
  for (int unit = first_unit; unit < call.num_units; unit += clusters) {
    float sums[kRowTiles][kTiles][4] = {};
    for (int depth = warp * kWarpDepth; depth < width; depth += kDepth) {
      TokenChunks<kTiles> chunks;
      chunks.Read(tokens, width + kTokenPad, num_tokens, depth);
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        WaitCopies<kStages - 1>();
        __syncwarp();
        MultiplyTile<T, kTiles>(memory.ring[warp][stage], chunks, sums[r]);
        __syncwarp();
        CopyWeights(call, copied, policy, memory.ring[warp][stage]);
        copied.Advance(begin, end, clusters);
        stage = stage + 1 == kStages ? 0 : stage + 1;
      }
    }
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      for (int r = 0; r < kRowTiles; ++r) KeepSums(sums[r][n], r, memory.partial[warp]);
      FinishTile(call, common, unit, n * kTileTokens, rank, memory.partial, memory.whole[parity]);
      parity ^= 1;
    }
  }
  SyncCluster();  // what others read stays until they have
}

// A kernel as a type, and the memory of its blocks but for tokens.
template <typename T, int kTiles>
struct Kernel {
  static constexpr auto kEntry = &SkinnyKernel<T, kTiles>;
  static constexpr int kBytes = static_cast<int>(sizeof(BlockMemory<StagesOf(kTiles)>));
};

// Calls fn with the Kernel of a product's type and number of tokens.
template <typename Fn>
void WithKernel(const SkinnyProduct& product, const Fn& fn) {
  const int64_t tokens = product.x.values.dim(0);
  const auto with_type = [&](auto zero) {
    using T = decltype(zero);
    if (tokens <= kTileTokens) return fn(Kernel<T, 1>{});
    if (tokens <= 2 * kTileTokens) return fn(Kernel<T, 2>{});
    return fn(Kernel<T, 4>{});
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

// Blocks that share the depth: as few as hold 8 tokens' parts of it and keep most multiprocessors
// at work. Fewer read as fast, and to join the sums of several takes 2 us or so a unit.
int ClusterFor(int64_t units, int64_t steps, int num_multiprocessors) {
  constexpr int64_t kMostSteps = 8;  // of 8 tokens beside their ring
  constexpr double kAtWork = 0.7;
  int best = 1;
  double best_share = 0;
  for (int cluster = 1; cluster <= std::min<int64_t>(kMaxCluster, steps); cluster *= 2) {
    const int clusters = std::max(1, num_multiprocessors / cluster);
    const double share = 1.0 * units / (1.0 * CeilDiv(units, clusters) * clusters);
    const bool holds = CeilDiv(steps, cluster) <= kMostSteps;
    if (share > best_share || CeilDiv(steps, best) > kMostSteps) {
      best = cluster;
      best_share = share;
    }
    if (holds && share >= kAtWork) break;
  }
  return best;
}

int64_t RowBytes(const SkinnyProduct& product) {
  return product.x.values.dim(1) * static_cast<int64_t>(SizeOf(product.x.values.dtype));
}

// Clusters that run at once, at most `most`: a block a multiprocessor, as more share what one
// reads.
int ClustersAtOnce(const void* kernel, const SkinnyShape& shape, int most) {
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(most * shape.cluster);
  config.blockDim = kThreads;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.attrs = &attribute;
  config.numAttrs = 1;
  int clusters = 0;
  if (cudaOccupancyMaxActiveClusters(&clusters, kernel, &config) != cudaSuccess) {
    cudaGetLastError();  // a device without clusters
    return 0;
  }
  return std::min(clusters, most);
}

}  // namespace

bool SkinnyFits(const SkinnyProduct& product) {
  const Tensor& x = product.x.values;
  if (product.gated && (product.bias || product.out.dim(1) % (kUnitRows / 2) != 0)) return false;
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
  const int64_t token = CeilDiv(steps, shape.cluster) * kDepth + kTokenPad;
  WithKernel(product, [&](auto kernel) {
    using Kernel = decltype(kernel);
    const int64_t bytes = Kernel::kBytes + product.x.values.dim(0) * token;
    if (bytes > kMostSharedBytes) return;
    shape.shared_bytes = static_cast<int>(bytes);
    AllowSharedMemory<Kernel::kEntry>(kMostSharedBytes);
    shape.clusters = ClustersAtOnce(reinterpret_cast<const void*>(Kernel::kEntry), shape,
                                    num_multiprocessors / shape.cluster);
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
  WithKernel(product, [&](auto kernel) {
    using Kernel = decltype(kernel);
    AllowSharedMemory<Kernel::kEntry>(kMostSharedBytes);
    LaunchEarly<Kernel::kEntry>({.grid = dim3(shape.clusters * shape.cluster),
                                 .block = kThreads,
                                 .shared_bytes = static_cast<size_t>(shape.shared_bytes),
                                 .cluster = shape.cluster},
                                stream, call);
  });
}

}  // namespace regatta
