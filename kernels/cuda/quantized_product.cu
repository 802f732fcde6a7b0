// Products of E4M3 numbers that cuBLASLt refuses: odd sizes, a bias of another dtype, devices
// without such products. Sums are float32; no tensor cores.
#include "kernels/cuda/quantized_product.h"
#include "kernels/cuda/weight_scales.cuh"

namespace regatta {
namespace {

constexpr int kWarps = 4;   // of a block, an output feature each
constexpr int kTokens = 4;  // of a warp, so that it reads the weight once for all of them
constexpr int kChunk = 16;  // numbers read at once, all under one scale

__device__ float InputScale(const Activation& x, int64_t token, int64_t depth) {
  const auto* scales = static_cast<const float*>(x.scale.data);
  if (x.scale.rank == 1) return scales[0];
  if (x.scale.shape[0] == 1) return scales[token];
  return scales[depth / kScaleGroup * x.scale.row_stride + token];
}

template <bool kWide>
__device__ Pack<__nv_fp8_e4m3, kChunk> LoadChunk(const __nv_fp8_e4m3* row, int64_t depth,
                                                 int64_t in) {
  using P = Pack<__nv_fp8_e4m3, kChunk>;
  if constexpr (kWide) {
    return *reinterpret_cast<const P*>(row + depth);
  } else {
    P chunk{};
    for (int j = 0; j < kChunk && depth + j < in; ++j) chunk.at[j] = row[depth + j];
    return chunk;
  }
}

template <bool kWide>
__global__ void QuantizedProductKernel(const __grid_constant__ QuantizedProduct product) {
  const Tensor& x = product.x.values;
  const Tensor& out = product.out;
  const int64_t feature = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const int64_t first_token = int64_t{blockIdx.y} * kTokens;
  const int64_t in = x.shape[1];
  if (feature >= out.shape[1]) return;
  const auto* weight =
      static_cast<const __nv_fp8_e4m3*>(product.weight.data) + feature * product.weight.row_stride;
  float sum[kTokens] = {};
  for (int64_t k = threadIdx.x % kWarp * kChunk; k < in; k += kWarp * kChunk) {
    float w[kChunk];
    WidenPack(LoadChunk<true>(weight, k, in), w);  // rows are padded with zeros
    const float weight_scale = product.scales.At(product.weight.data, feature, k);
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const int64_t token = first_token + t;
      if (token >= out.shape[0]) break;
      float v[kChunk];
      const auto* row = static_cast<const __nv_fp8_e4m3*>(x.data) + token * x.row_stride;
      WidenPack(LoadChunk<kWide>(row, k, in), v);
      float partial = 0;
#pragma unroll
      for (int j = 0; j < kChunk; ++j) partial += v[j] * w[j];
      sum[t] += partial * (weight_scale * InputScale(product.x, token, k));
    }
  }
  for (int t = 0; t < kTokens && first_token + t < out.shape[0]; ++t) {
    float total = WarpSum(sum[t]);
    if (threadIdx.x % kWarp != 0) continue;
    if (product.bias.data != nullptr) {
      total += LoadElement(product.bias.data, product.bias.dtype, feature);
    }
    StoreElement(out.data, out.dtype, (first_token + t) * out.row_stride + feature, total);
  }
}

}  // namespace

void LaunchQuantizedProduct(const QuantizedProduct& product, cudaStream_t stream) {
  const Tensor& x = product.x.values;
  const dim3 grid(CeilDiv(product.out.dim(1), kWarps), CeilDiv(product.out.dim(0), kTokens));
  CHECK_LE(grid.y, 65535u) << "tokens of one launch";
  if (WideRows(x)) {
    QuantizedProductKernel<true><<<grid, kWarps * kWarp, 0, stream>>>(product);
  } else {
    QuantizedProductKernel<false><<<grid, kWarps * kWarp, 0, stream>>>(product);
  }
}

}  // namespace regatta
