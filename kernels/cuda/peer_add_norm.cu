// Sum over peers, residual addition and RMSNorm in one kernel; see peer_all_reduce.h.
#include <algorithm>

#include "kernels/cuda/peer_all_reduce.h"
#include "kernels/cuda/peer_exchange.cuh"
#include "kernels/cuda/quantize.cuh"

namespace regatta {
namespace {

constexpr int kMaxThreads = 1024;

struct AddNormCall {
  Tensor x;
  Tensor residual;
  Tensor weight;
  Activation out;
  float eps;
};

template <typename T>
__device__ Words* RowOf(const Tensor& x, int64_t row) {
  return reinterpret_cast<Words*>(static_cast<T*>(x.data) + row * x.row_stride);
}

// residual = residual + delta; adds to the sum of its squares.
template <typename T>
__device__ void AddTo(Words& residual, const Elements<T>& delta, float& squares) {
  auto values = std::bit_cast<Elements<T>>(residual);
#pragma unroll
  for (size_t j = 0; j < sizeof(Words) / sizeof(T); ++j) {
    values.at[j] = Narrow<T>(Widen(values.at[j]) + Widen(delta.at[j]));
    squares += Widen(values.at[j]) * Widen(values.at[j]);
  }
  residual = std::bit_cast<Words>(values);
}

template <typename T>
__device__ Words Scaled(const Words& x, float scale, const Words& weight) {
  auto values = std::bit_cast<Elements<T>>(x);
  const auto factors = std::bit_cast<Elements<T>>(weight);
#pragma unroll
  for (size_t j = 0; j < sizeof(Words) / sizeof(T); ++j) {
    values.at[j] = Narrow<T>(Widen(values.at[j]) * scale * Widen(factors.at[j]));
  }
  return std::bit_cast<Words>(values);
}

// The normed row of a residual that the block has written, once its barriers are passed.
template <typename T>
__device__ void StoreNormed(const AddNormCall& call, int64_t row, float scale) {
  const int64_t width = call.x.shape[1];
  const Words* residual = RowOf<T>(call.residual, row);
  if (call.out.values.dtype != DType::kFloat8E4M3) {
    const Words* weight = static_cast<const Words*>(call.weight.data);
    Words* out = RowOf<T>(call.out.values, row);
    for (int64_t i = threadIdx.x; i < width * sizeof(T) / sizeof(Words); i += blockDim.x) {
      out[i] = Scaled<T>(residual[i], scale, weight[i]);
    }
    return;
  }
  const T* summed = reinterpret_cast<const T*>(residual);
  const T* weight = static_cast<const T*>(call.weight.data);
  StoreQuantizedRow<true>(call.out, row, [&](int64_t first, float(&values)[kPerLane]) {
    float factors[kPerLane];
    LoadFew<true>(summed, first, width, values);
    LoadFew<true>(weight, first, width, factors);
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) values[j] = values[j] * scale * factors[j];
  });
}

// One block per row, and as many rows as there are blocks at once.
template <typename T>
__global__ void __launch_bounds__(kMaxThreads)
    AddNormKernel(const __grid_constant__ PeerGroup group,
                  const __grid_constant__ AddNormCall call) {
  const PeerArea area = OneShotArea(group);
  const Turn turn(group, kOneShotTurns);
  const uint32_t slot = turn.slot();
  const auto rows = static_cast<uint32_t>(call.x.shape[0]);
  const auto width = static_cast<uint32_t>(call.x.shape[1]);
  const uint32_t words = width * sizeof(T) / sizeof(Words);  // of a row
  const Words* x = static_cast<const Words*>(call.x.data);
  for (uint32_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (uint32_t i = row * words + threadIdx.x; i < (row + 1) * words; i += blockDim.x) {
      const Words own = Payload<T>(x[i]);
      for (int k = 1; k < group.size; ++k) {
        const int peer = (group.index + k) % group.size;
        Push(PartOf(group, area, peer, slot, group.index) + i, own);
      }
    }
  }
  turn.EmptyPrevious(group, area);
  const auto part_of = [&](int rank) { return PartOf(group, area, group.index, slot, rank); };
  for (uint32_t row = blockIdx.x; row < rows; row += gridDim.x) {
    Words* residual = RowOf<T>(call.residual, row);
    float squares = 0;
    for (uint32_t i = threadIdx.x; i < words; i += blockDim.x) {
      const uint32_t at = row * words + i;
      const Elements<T> delta = SumArrivals<T>(group, part_of, at, Payload<T>(x[at]));
      AddTo<T>(residual[i], delta, squares);
    }
    const float scale = rsqrtf(BlockSum(squares) / static_cast<float>(width) + call.eps);
    StoreNormed<T>(call, row, scale);
  }
  turn.Finish(rows * words);
}

}  // namespace

bool PeersCanAddNorm(const PeerGroup& group, const Tensor& x, const Tensor& residual,
                     const Tensor& weight, const Activation& out) {
  const bool wide_out = out.quantized() ? FewAligned(out.values) : WideRows(out.values);
  return PeersCanSum(x) && x.num_bytes() <= std::min(group.one_shot_bytes, kMostFusedBytes) &&
         WideRows(x) && WideRows(residual) && WideRows(weight) && wide_out;
}

void PeerAllReduceAddNorm(const PeerGroup& group, const Tensor& x, const Tensor& residual,
                          const Tensor& weight, float eps, const Activation& out,
                          cudaStream_t stream) {
  CheckForm(out);
  CHECK(PeersCanAddNorm(group, x, residual, weight, out)) << x.num_bytes() << " bytes";
  for (const Tensor* other : {&residual, &out.values}) {
    CHECK_EQ(other->dim(0), x.dim(0));
    CHECK_EQ(other->dim(1), x.dim(1));
  }
  CHECK(residual.dtype == x.dtype && (out.quantized() || out.values.dtype == x.dtype));
  CHECK_EQ(weight.dim(0), x.dim(1));
  CHECK(weight.dtype == x.dtype);
  if (x.dim(0) == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(x.dim(0), kMaxPeerBlocks));
  const int64_t words =
      x.dim(1) * static_cast<int64_t>(SizeOf(x.dtype)) / static_cast<int64_t>(sizeof(Words));
  const int threads = std::clamp(CeilDiv(words, kWarp), 1, kMaxThreads / kWarp) * kWarp;
  DispatchDevice(x.dtype, [&](auto zero) {
    AddNormKernel<decltype(zero)>
        <<<blocks, threads, 0, stream>>>(group, {x, residual, weight, out, eps});
  });
}

}  // namespace regatta
