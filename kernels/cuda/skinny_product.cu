// The kernel of skinny_product.h. Products are transposed, weights times tokens, so that tensor
// cores waste nothing on weights. A block works on units of 64 output features; its warps, and the
// blocks of its cluster, share the depth. Every warp streams its own part of the weights through a
// ring of its own, which is filled before the kernel in front has ended and stays full over the
// ends of units: warps wait for one another there alone. The tokens' part of the depth lies in
// shared memory from the start, as nothing is slower than a load behind a ring of them.
#include <algorithm>
#include <type_traits>

#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/skinny_norm.cuh"
#include "kernels/cuda/skinny_product.h"
#include "kernels/cuda/skinny_tiles.cuh"

namespace regatta {
namespace {

using namespace skinny;  // NOLINT: the parts of this file

// kTiles: tiles of 8 tokens. kFused: what surrounds the product goes with it; apart, as code that
// is not run is in the way of the code that is.
template <typename T, int kTiles, bool kFused>
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
  const bool normed = kFused && call.product.norm.data != nullptr;
  char* const norm = tokens + num_tokens * (width + kTokenPad);
  LetNextBegin();
  if constexpr (kFused) {
    if (normed) CopyNorm<T>(call, begin * kDepth, width, norm);
  }
  Place copied = {first_unit, begin};
#pragma unroll 1
  for (int stage = 0; stage < kStages; ++stage) {
    CopyWeights<kFused>(call, copied, policy, memory.ring[warp][stage]);
    copied.Advance(begin, end, clusters);
  }
  const SkinnyCall& known = kFused ? memory.call : call;
  Beside beside[kTiles][kResults];
  const auto load_besides = [&](int unit) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      LoadBesides<kFused>(known, unit, n * kTileTokens, rank, beside[n]);
    }
  };
  if constexpr (kFused) {
    CopyParameters(call, memory.call);
    __syncthreads();
    if (known.product.heads) load_besides(first_unit);
  }
  AwaitPrevious();
  if constexpr (kFused) {
    if (normed) {
      WaitCopies<kStages - 1>();  // of the norm's weight, in the first group
      NormTokens<T>(known, begin * kDepth, width, norm, memory.norm_sums(), tokens);
    }
  }
  if (!normed) LoadTokens(known, begin * kDepth, width, tokens);
  __syncthreads();
  int stage = 0, parity = 0;
#pragma unroll 1
  for (int unit = first_unit; unit < call.num_units; unit += clusters) {
    float sums[kRowTiles][kTiles][4] = {};
    if (kFused && (known.product.adds || unit != first_unit)) load_besides(unit);
#pragma unroll 1
    for (int depth = warp * kWarpDepth; depth < width; depth += kDepth) {
      TokenChunks<kTiles> chunks;
      chunks.Read(tokens, width + kTokenPad, num_tokens, depth);
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        WaitCopies<kStages - 1>();
        __syncwarp();
        MultiplyTile<T, kTiles>(memory.ring[warp][stage], chunks, sums[r]);
        __syncwarp();
        CopyWeights<kFused>(call, copied, policy, memory.ring[warp][stage]);
        copied.Advance(begin, end, clusters);
        stage = stage + 1 == kStages ? 0 : stage + 1;
      }
    }
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      for (int r = 0; r < kRowTiles; ++r) KeepSums(sums[r][n], r, memory.partial[warp]);
      FinishTile<kFused>(known, unit, n * kTileTokens, rank, beside[n], memory.partial,
                         memory.whole[parity]);
      parity ^= 1;
    }
  }
  SyncCluster();  // what others read stays until they have
}

// A kernel as a type, and the memory of its blocks but for tokens.
template <typename T, int kTiles, bool kFused>
struct Kernel {
  static constexpr auto kEntry = &SkinnyKernel<T, kTiles, kFused>;
  static constexpr int kBytes = static_cast<int>(sizeof(BlockMemory<StagesOf(kTiles)>));
};

// Calls fn with the Kernel of a product's type, number of tokens and surroundings.
template <typename Fn>
void WithKernel(const SkinnyProduct& product, const Fn& fn) {
  const int64_t tokens = product.x.values.dim(0);
  const auto with_type = [&](auto zero) {
    using T = decltype(zero);
    const auto with_tiles = [&](auto fused) {
      if (tokens <= kTileTokens) return fn(Kernel<T, 1, fused.value>{});
      if (tokens <= 2 * kTileTokens) return fn(Kernel<T, 2, fused.value>{});
      return fn(Kernel<T, 4, fused.value>{});
    };
    const bool fused = product.norm || product.adds || product.heads;
    return fused ? with_tiles(std::true_type{}) : with_tiles(std::false_type{});
  };
  switch (product.weight.dtype) {
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

// Of a token as it is multiplied.
int64_t RowBytes(const SkinnyProduct& product) {
  return product.x.values.dim(1) * static_cast<int64_t>(SizeOf(product.weight.dtype));
}

bool Is16Bit(DType dtype) { return dtype == DType::kBFloat16 || dtype == DType::kFloat16; }

// SkinnyCall's.
int PairDistance(const SkinnyProduct& product) {
  if (product.heads) return product.heads.head_dim / 2;
  return product.gated ? static_cast<int>(product.out.dim(1)) : 0;
}

// Bytes of the norm's weight beside kDepth bytes of tokens.
int64_t NormStep(const SkinnyProduct& product) {
  return kDepth * static_cast<int64_t>(SizeOf(product.norm.dtype) / SizeOf(product.weight.dtype));
}

// Whether tokens come in the form that is multiplied, or are made so with the norm.
bool TakesTokens(const SkinnyProduct& product) {
  const Activation& x = product.x;
  const DType type = product.weight.dtype;
  if (!product.norm)
    return x.values.dtype == type && (!x.quantized() || x.group() == x.values.dim(1));
  const bool becomes_type = Is16Bit(type)
                                ? x.values.dtype == type
                                : x.values.dtype == DType::kBFloat16 && x.scale && x.is_static();
  return becomes_type && product.norm.dtype == x.values.dtype && WideRows(product.norm) &&
         x.values.dim(0) * NormPieces(product) <= kMostPieces;
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
  const DType type = product.weight.dtype;
  if (product.gated && product.bias) return false;
  if (PairDistance(product) % (kUnitRows / 2) != 0) return false;
  return (Is16Bit(type) || type == DType::kFloat8E4M3) && TakesTokens(product) &&
         product.scales.depth_shared == INT_MAX && x.dim(0) <= kSkinnyTokens && WideRows(x) &&
         WideRows(product.weight) && std::max(product.weight.dim(0), RowBytes(product)) < kMostRows;
}

SkinnyShape ShapeSkinnyProduct(const SkinnyProduct& product, int num_multiprocessors) {
  SkinnyShape shape;
  const int64_t units = CeilDiv(product.weight.dim(0), kUnitRows);
  const int64_t steps = CeilDiv(RowBytes(product), kDepth);
  shape.cluster = ClusterFor(units, steps, num_multiprocessors);
  const int64_t token = CeilDiv(steps, shape.cluster) * kDepth + kTokenPad;
  WithKernel(product, [&](auto kernel) {
    using Kernel = decltype(kernel);
    const int64_t norm = product.norm ? CeilDiv(steps, shape.cluster) * NormStep(product) : 0;
    const int64_t bytes = Kernel::kBytes + product.x.values.dim(0) * token + norm;
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
  const auto stride = [](const Tensor& x) {
    return x.row_stride * static_cast<int64_t>(SizeOf(x.dtype));
  };
  const int64_t row_bytes = RowBytes(product);
  const SkinnyCall call = {.product = product,
                           .weight_stride = stride(product.weight),
                           .x_stride = stride(product.x.values),
                           .row_bytes = static_cast<int>(row_bytes),
                           .cluster = shape.cluster,
                           .num_units = CeilDiv(product.weight.dim(0), kUnitRows),
                           .pair_distance = PairDistance(product),
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
