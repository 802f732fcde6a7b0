// Choosing tiles for a product and launching it; see wide_product.h.
#include <algorithm>
#include <optional>
#include <type_traits>

#include "kernels/cuda/wide_product.h"
#include "kernels/cuda/wide_tiles.cuh"

namespace regatta {
namespace {

using namespace wide;

constexpr int kRowsOfGated[] = {256, 224, 192}, kRowsOfPlain[] = {256, 192, 128};

// Calls fn with the traits of a product's kernel.
template <typename Fn>
void WithTraits(const WideProduct& product, int rows, const Fn& fn) {
  const auto with_types = [&]<typename T, typename Out>(T, Out) {
    if constexpr (std::is_same_v<T, Out>) {
      if (product.gated && rows == 256) return fn(WideTraits<T, Out, 256, true>{});
      if (product.gated && rows == 224) return fn(WideTraits<T, Out, 224, true>{});
      if (product.gated) return fn(WideTraits<T, Out, 192, true>{});
    }
    if constexpr (sizeof(Out) == 2) {
      if (rows == 256) return fn(WideTraits<T, Out, 256, false>{});
      if (rows == 192) return fn(WideTraits<T, Out, 192, false>{});
      return fn(WideTraits<T, Out, 128, false>{});
    }
  };
  const bool half = product.out.values.dtype == DType::kFloat16;
  if (product.x.values.dtype == DType::kBFloat16) {
    with_types(__nv_bfloat16{}, __nv_bfloat16{});
  } else if (product.x.values.dtype == DType::kFloat16) {
    with_types(__half{}, __half{});
  } else if (product.gated) {
    with_types(__nv_fp8_e4m3{}, __nv_fp8_e4m3{});
  } else if (half) {
    with_types(__nv_fp8_e4m3{}, __half{});
  } else {
    with_types(__nv_fp8_e4m3{}, __nv_bfloat16{});
  }
}

bool IsHalf(DType dtype) { return dtype == DType::kBFloat16 || dtype == DType::kFloat16; }

bool Fits(const WideProduct& product) {
  const Tensor& x = product.x.values;
  const Activation& out = product.out;
  const WeightScales& scales = product.scales;
  const bool scaled_rows =
      !product.x.quantized() || product.x.is_static() || product.x.scale.dim(0) == 1;
  const bool scaled_features = scales.depth_shared == INT_MAX &&
                               (scales.features_shared == INT_MAX || scales.features_shared == 1);
  const bool types = x.dtype != DType::kFloat8E4M3 ? IsHalf(x.dtype) && x.dtype == out.values.dtype
                     : product.gated               ? out.quantized() && out.is_static()
                                                   : IsHalf(out.values.dtype);
  return types && scaled_rows && scaled_features && WideRows(x) && WideRows(product.weight) &&
         WideRows(out.values);
}

}  // namespace

// By what its rounds of tiles take: a tile of few rows is no faster to begin and end than one of
// many, and a cluster reads less.
WideShape ShapeWideProduct(const WideProduct& product, int num_multiprocessors) {
  constexpr double kRowsToBeginAndEnd = 16, kAlone = 1.03;
  using Smallest = WideTraits<__nv_bfloat16, __nv_bfloat16, 128, false>;
  WideShape best;
  if (!Fits(product) || !CanMapTiles() ||
      !ShareMultiprocessors<&WideKernel<Smallest>>().has_warpgroups) {
    return best;
  }
  const int64_t tokens = product.x.values.dim(0);
  double least = 0;
  for (const int rows : product.gated ? kRowsOfGated : kRowsOfPlain) {
    for (const int cluster : {2, 1}) {
      if (cluster > 1 && tokens <= kTileTokens) continue;
      const int at_once = num_multiprocessors / cluster;
      const int units =
          CeilDiv(tokens, kTileTokens * cluster) * CeilDiv(product.weight.dim(0), rows);
      const double time =
          CeilDiv(units, at_once) * (rows + kRowsToBeginAndEnd) * (cluster > 1 ? 1 : kAlone);
      if (best.rows > 0 && time >= least) continue;
      least = time;
      best = {.rows = rows, .cluster = cluster, .blocks = std::min(units, at_once) * cluster};
    }
  }
  return best;
}

bool LaunchWideProduct(const WideProduct& product, const WideShape& shape, cudaStream_t stream) {
  const Tensor& x = product.x.values;
  const int part_rows = shape.rows / (product.gated ? 2 : 1);
  const std::optional<CUtensorMap> tokens = MapTiles(x, kTileTokens);
  const std::optional<CUtensorMap> weight = MapTiles(product.weight, part_rows / shape.cluster);
  if (!tokens.has_value() || !weight.has_value()) return false;
  const int groups = CeilDiv(x.dim(0), kTileTokens * shape.cluster);
  const int64_t row_bytes = x.dim(1) * static_cast<int64_t>(SizeOf(x.dtype));
  const WideCall call = {.x = *tokens,
                         .weight = *weight,
                         .product = product,
                         .cluster = shape.cluster,
                         .token_groups = groups,
                         .units = groups * CeilDiv(product.weight.dim(0), shape.rows),
                         .steps = CeilDiv(row_bytes, kCopyLine)};
  WithTraits(product, shape.rows, [&](auto traits) {
    using Traits = decltype(traits);
    constexpr auto kKernel = &WideKernel<Traits>;
    constexpr int kBytes = sizeof(WideMemory<Traits>);
    AllowSharedMemory<kKernel>(kBytes);
    LaunchEarly<kKernel>({.grid = dim3(shape.blocks),
                          .block = kThreads,
                          .shared_bytes = kBytes,
                          .cluster = shape.cluster},
                         stream, call);
  });
  return true;
}

}  // namespace regatta
