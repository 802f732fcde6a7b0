// Products of up to 128 tokens by one warpgroup of a block, transposed, weights times tokens. A
// thread of a fifth warp streams the weights through a ring in shared memory, which is filled
// before the kernel in front has ended and stays full over the ends of units of 64 features. The
// blocks of a cluster share the depth; a block's part of the tokens stays in shared memory.
#include <algorithm>

#include "kernels/cuda/async_copy.cuh"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/skinny_stream.cuh"

namespace regatta {
namespace {

using namespace stream;  // NOLINT: the parts of this file

// A warpgroup's sums of a unit, from `place` of the ring on: of every stage those of its line. Two
// chains of sums keep the tensor cores busier than one.
template <typename T, int kTokens>
__device__ void MultiplyUnit(Block<kTokens>& block, int warpgroup, RingPlace& place,
                             bool awaits_tokens, float (&sums)[kTokens / 8][4]) {
  constexpr int kStep = 32;  // bytes of the depth in one product
  constexpr bool kTwo = kTokens <= 64;
  const uint64_t ring = Further(SwizzledMatrix(block.ring, 0), warpgroup * kWeightTile);
  uint64_t tokens = Further(SwizzledMatrix(block.tokens, 0), warpgroup * block.kTokenTile);
  const bool tells = threadIdx.x % kWarp == 0;
  float others[kTwo ? kTokens / 8 : 1][4];
  int before = 0;
  for (int step = 0; step < block.steps; ++step) {
    if (awaits_tokens) block.state.tokens[step >> block.part_shift].Await(0);
    block.state.full[place.stage].Await(place.round);
    const uint64_t weights = Further(ring, place.stage * kStageBytes);
    BeginProducts();
#pragma unroll
    for (int at = 0; at < kCopyLine; at += kStep) {
      if constexpr (kTwo) {
        if (at / kStep % 2 == 1) {
          BeginMultiply<T, kTokens>(others, Further(weights, at), Further(tokens, at),
                                    step + at > kStep);
          continue;
        }
      }
      BeginMultiply<T, kTokens>(sums, Further(weights, at), Further(tokens, at), step + at > 0);
    }
    CommitProducts();
    tokens = Further(tokens, block.kTokenBytes);
    if (step > 0) {
      WaitProducts<1>();
      if (tells) block.state.empty[before].Arrive();
    }
    before = place.stage;
    place.Advance(block.stages);
  }
  WaitProducts<0>();
  Pin(sums);
  if constexpr (kTwo) {
    Pin(others);
#pragma unroll
    for (int i = 0; i < kTokens / 2; ++i) sums[i / 4][i % 4] += others[i / 4][i % 4];
  }
  if (tells) block.state.empty[before].Arrive();
}

template <typename T, int kTokens>
__device__ void MultiplyUnits(Block<kTokens>& block, int warpgroup) {
  RingPlace place;
  int round = 0;
  for (int unit = block.first_unit; unit < block.num_units; unit += block.clusters, ++round) {
    float sums[kTokens / 8][4];
    MultiplyUnit<T, kTokens>(block, warpgroup, place, round == 0, sums);
    if (round > 0) block.state.taken.AwaitCluster(round - 1);
    KeepSums<kTokens>(block, warpgroup, sums);
  }
}

template <typename Out, int kTokens>
__device__ void FinishUnits(Block<kTokens>& block, const SkinnyProduct& product) {
  Finisher<Out, kTokens> finisher(block, product);
  int round = 0;
  for (int unit = block.first_unit; unit < block.num_units; unit += block.clusters, ++round) {
    finisher.Finish(unit, [&] { block.state.summed.AwaitCluster(round); });
    TellCluster(kFinishing, block.cluster, block.state.taken);
  }
}

template <int kTokens>
__device__ void FinishUnitsAs(Block<kTokens>& block, const SkinnyProduct& product) {
  switch (product.out.dtype) {
    case DType::kBFloat16:
      return FinishUnits<__nv_bfloat16>(block, product);
    case DType::kFloat16:
      return FinishUnits<__half>(block, product);
    case DType::kFloat8E4M3:
      return FinishUnits<__nv_fp8_e4m3>(block, product);
    default:
      return FinishUnits<float>(block, product);
  }
}

template <typename T, int kTokens>
__global__ void __launch_bounds__(stream::kThreads, 1)
    StreamKernel(const __grid_constant__ StreamCall call) {
#if defined(REGATTA_HAS_WARPGROUPS)
  extern __shared__ __align__(1024) unsigned char memory[];
  Block<kTokens> block(call, memory);
  const bool produces = threadIdx.x == kProducing;
  // The same in all lanes, and known to be.
  const int warpgroup = __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kWarpgroup, 0);
  Producer<kTokens> producer{call, block};
  if (produces) {
    producer.Init();
    producer.FillRing();
  }
  LetNextBegin();
  __syncwarp();
  SyncCluster();  // barriers can be used by all
  AwaitPrevious();
  if (produces) {
    producer.CopyTokens();
    producer.KeepRingFull();
  } else if (warpgroup < kMultiplying) {
    MultiplyUnits<T, kTokens>(block, warpgroup);
  } else if (warpgroup == kFinishing) {
    FinishUnitsAs<kTokens>(block, call.product);
  }
  __syncwarp();
  SyncCluster();  // what others read stays until they have
#endif
}

template <typename T, int kColumns>
struct Kernel {
  static constexpr int kTokens = kColumns;
  static constexpr auto kEntry = &StreamKernel<T, kTokens>;
};

// Calls fn with the Kernel of a product's type and number of tokens.
template <typename Fn>
void WithKernel(const SkinnyProduct& product, const Fn& fn) {
  const int64_t tokens = product.x.values.dim(0);
  const auto with_type = [&](auto zero) {
    using T = decltype(zero);
    if (tokens <= 8) return fn(Kernel<T, 8>{});
    if (tokens <= 16) return fn(Kernel<T, 16>{});
    if (tokens <= 32) return fn(Kernel<T, 32>{});
    if (tokens <= 64) return fn(Kernel<T, 64>{});
    return fn(Kernel<T, 128>{});
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

int64_t RowBytes(const SkinnyProduct& product) {
  return product.x.values.dim(1) * static_cast<int64_t>(SizeOf(product.x.values.dtype));
}

int UnitsOf(const SkinnyProduct& product) { return CeilDiv(product.weight.dim(0), kUnitRows); }

std::optional<CUtensorMap> MapWeight(const SkinnyProduct& product) {
  if (product.gated) return MapTiles(product.weight, {kBoxRows, 2, kMultiplying});
  return MapTiles(product.weight, {kUnitRows, 1, kMultiplying});
}

// Clusters that run at once, at most `most`.
int ClustersAtOnce(const void* kernel, const SkinnyShape& shape, int most) {
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(most * shape.cluster);
  config.blockDim = stream::kThreads;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.attrs = &attribute;
  config.numAttrs = 1;
  int clusters = 0;
  if (cudaOccupancyMaxActiveClusters(&clusters, kernel, &config) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return std::min(clusters, most);
}

}  // namespace

SkinnyShape ShapeStreamProduct(const SkinnyProduct& product, int num_multiprocessors) {
  constexpr int kMostSharedBytes = 227 << 10;  // of a block on Hopper
  constexpr int kMaxCluster = 8, kLeastStages = 4;
  SkinnyShape best;
  if (RowBytes(product) % kCopyLine != 0 || !MapWeight(product).has_value()) return best;
  const char* forced = getenv("REGATTA_CLUSTER");
  WithKernel(product, [&](auto kernel) {
    using Kernel = decltype(kernel);
    using Block = stream::Block<Kernel::kTokens>;
    AllowSharedMemory<Kernel::kEntry>(kMostSharedBytes);
    const int lines = static_cast<int>(RowBytes(product) / kCopyLine), units = UnitsOf(product);
    double best_share = 0;
    for (int cluster = 1; cluster <= kMaxCluster && lines % cluster == 0; cluster *= 2) {
      if (forced != nullptr && atoi(forced) != cluster) continue;
      const int steps = lines / cluster / kMultiplying;
      if (steps == 0 || lines % (cluster * kMultiplying) != 0) break;
      const int others =
          steps * Block::kTokenBytes + static_cast<int>(sizeof(BlockState<Kernel::kTokens>));
      const int stages = std::min(kMostStages, (kMostSharedBytes - others) / kStageBytes);
      if (stages < kLeastStages) continue;
      SkinnyShape shape = {
          .cluster = cluster, .shared_bytes = others + stages * kStageBytes, .stages = stages};
      shape.clusters = std::min(units, ClustersAtOnce(reinterpret_cast<const void*>(Kernel::kEntry),
                                                      shape, num_multiprocessors / cluster));
      if (shape.clusters == 0) continue;
      const double share = 1.0 * units * cluster /
                           (1.0 * CeilDiv(units, shape.clusters) * num_multiprocessors);
      if (share > best_share + 0.03) {
        best = shape;
        best_share = share;
      }
      if (share > 0.9) break;
    }
  });
  return best;
}

void LaunchStreamProduct(const SkinnyProduct& product, const SkinnyShape& shape,
                         cudaStream_t stream) {
  WithKernel(product, [&](auto kernel) {
    using Kernel = decltype(kernel);
    const std::optional<CUtensorMap> weight = MapWeight(product);
    const std::optional<CUtensorMap> tokens =
        MapTiles(product.x.values, {Kernel::kTokens, 1, kMultiplying});
    CHECK(weight.has_value() && tokens.has_value());
    const StreamCall call = {
        .weight = *weight,
        .tokens = *tokens,
        .product = product,
        .cluster = shape.cluster,
        .num_units = UnitsOf(product),
        .stages = shape.stages,
        .steps = static_cast<int>(RowBytes(product) / kCopyLine) / shape.cluster /
                 kMultiplying};
    LaunchEarly<Kernel::kEntry>({.grid = dim3(shape.clusters * shape.cluster),
                                 .block = stream::kThreads,
                                 .shared_bytes = static_cast<size_t>(shape.shared_bytes),
                                 .cluster = shape.cluster},
                                stream, call);
  });
}

}  // namespace regatta
