// Dealing a product out to the device and launching it; see streamed_product.h.
#include <algorithm>
#include <optional>
#include <type_traits>

#include "kernels/cuda/streamed_product.h"
#include "kernels/cuda/streamed_tiles.cuh"

namespace regatta {
namespace {

using namespace streamed;

// Calls fn with the traits of a product's kernel.
template <typename Fn>
void WithTraits(const WideProduct& product, int room, const Fn& fn) {
  const auto with_room = [&]<typename T, typename Out, bool kGated>(
                             std::type_identity<StreamedTraits<T, Out, 64, kGated>>) {
    if (room == 64) return fn(StreamedTraits<T, Out, 64, kGated>{});
    if (room == 128) return fn(StreamedTraits<T, Out, 128, kGated>{});
    return fn(StreamedTraits<T, Out, 192, kGated>{});
  };
  const auto with_types = [&]<typename T, typename Out>(T, Out) {
    if constexpr (std::is_same_v<T, Out>) {
      if (product.gated) {
        return with_room(std::type_identity<StreamedTraits<T, Out, 64, true>>{});
      }
    }
    if constexpr (sizeof(Out) == 2) {
      with_room(std::type_identity<StreamedTraits<T, Out, 64, false>>{});
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

}  // namespace

StreamedShape ShapeStreamedProduct(const WideProduct& product, int num_multiprocessors) {
  StreamedShape shape;
  const int64_t tokens = product.x.values.dim(0);
  if (tokens > kStreamedTokens || !FitsWide(product)) return shape;
  shape.tokens = CeilDiv(tokens, 64) * 64;
  const int units = CeilDiv(product.weight.dim(0), kUnitRows);
  const int steps = CeilDiv(product.x.values.dim(1) * SizeOf(product.x.values.dtype), kCopyLine);
  shape.split = 2 * units <= num_multiprocessors && steps > 1 ? 2 : 1;
  shape.blocks = std::min(units, num_multiprocessors / shape.split) * shape.split;
  return shape;
}

bool LaunchStreamedProduct(const WideProduct& product, const StreamedShape& shape,
                           cudaStream_t stream) {
  const Tensor& x = product.x.values;
  const std::optional<CUtensorMap> tokens = MapTiles(x, shape.tokens);
  const std::optional<CUtensorMap> weight =
      MapTiles(product.weight, kUnitRows / (product.gated ? 2 : 1));
  if (!tokens.has_value() || !weight.has_value()) return false;
  const int64_t row_bytes = x.dim(1) * static_cast<int64_t>(SizeOf(x.dtype));
  const StreamedCall call = {.x = *tokens,
                             .weight = *weight,
                             .product = product,
                             .split = shape.split,
                             .units = CeilDiv(product.weight.dim(0), kUnitRows),
                             .steps = CeilDiv(row_bytes, kCopyLine)};
  WithTraits(product, shape.tokens, [&](auto traits) {
    using Traits = decltype(traits);
    constexpr auto kKernel = &StreamedKernel<Traits>;
    constexpr int kBytes = sizeof(StreamedMemory<Traits>);
    AllowSharedMemory<kKernel>(kBytes);
    LaunchEarly<kKernel>({.grid = dim3(shape.blocks),
                          .block = kThreads,
                          .shared_bytes = kBytes,
                          .cluster = shape.split},
                         stream, call);
  });
  return true;
}

}  // namespace regatta
