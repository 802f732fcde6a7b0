// Weights in E4M3: one buffer holds the matrix and, behind it, its scales as products want them.
#include <algorithm>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

constexpr int64_t kAlignment = 256;  // of rows' beginnings no more than 16, of the scales
constexpr int64_t kBlockStride = 4;  // cuBLASLt: rows of block scales are multiples of this apart

int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Scales of a host matrix in the device's order, and how an element finds its own.
struct HostScales {
  std::vector<float> values;
  WeightScales place;
};

HostScales ArrangeScales(const QuantizedMatrix& matrix, int64_t out) {
  HostScales scales;
  const float* from = matrix.scale.as<float>();
  switch (matrix.input()) {
    case ActivationFormat::kStatic:
      scales.values = {from[0]};
      break;
    case ActivationFormat::kPerGroup: {
      const int64_t rows = matrix.scale.dim(0), columns = matrix.scale.dim(1);
      const int64_t stride = RoundUp(columns, kBlockStride);
      scales.values.resize(rows * stride);
      for (int64_t r = 0; r < rows; ++r) {
        std::copy_n(from + r * columns, columns, scales.values.data() + r * stride);
      }
      scales.place.features_shared = scales.place.depth_shared = static_cast<int>(kScaleGroup);
      scales.place.stride = static_cast<int>(stride);
      break;
    }
    default:  // per output feature; the matrix may bring one for all, or none yet
      scales.values.assign(out, matrix.scale.rank == 1 ? from[0] : 0.0f);
      if (matrix.scale.rank == 1 && matrix.scale.dim(0) > 1) {
        std::copy_n(from, out, scales.values.data());
      }
      scales.place.features_shared = 1;
      scales.place.stride = 1;
  }
  return scales;
}

}  // namespace

std::unique_ptr<Weight> CudaOps::PrepareQuantized(const QuantizedMatrix& host, WeightUse use) {
  CHECK_EQ(host.values.rank, 2);
  auto weight = std::make_unique<CudaWeight>();
  const int64_t out = weight->out_features = host.values.dim(0);
  const int64_t in = weight->in_features = host.values.dim(1);
  const bool plain = host.values.dtype != DType::kFloat8E4M3;
  CHECK_EQ(plain, !host.scale);
  HostScales scales = ArrangeScales(host, out);
  const int64_t stride = RoundUp(in, 16);
  scales.place.offset = RoundUp(out * stride, kAlignment);
  const int64_t scale_bytes = static_cast<int64_t>(scales.values.size() * sizeof(float));
  const int64_t input_offset = RoundUp(scales.place.offset + scale_bytes, kAlignment);
  weight->buffer = Allocate(input_offset + sizeof(float));
  if (weight->buffer.data() == nullptr) return nullptr;
  auto* memory = static_cast<char*>(weight->buffer.data());
  weight->matrix = Tensor::Of(memory, DType::kFloat8E4M3, out, in);
  weight->matrix.row_stride = stride;
  weight->scales = scales.place;
  if (use != WeightUse::kExpert) weight->input = host.input();
  CopyToDevice(memory + scales.place.offset, scales.values.data(), scale_bytes);
  if (host.input() == ActivationFormat::kStatic) {
    weight->input_scale = Tensor::Of(memory + input_offset, DType::kFloat32, 1);
    CopyToDevice(memory + input_offset, &host.input_scale, sizeof(float));
  }
  if (plain) return QuantizeRows(host.values, std::move(weight));
  PlaceRows(memory, stride,
            {host.values.data, static_cast<size_t>(host.values.row_stride), static_cast<size_t>(in),
             static_cast<size_t>(out)});
  return weight;
}

// Rows become numbers and scales as tokens do. Null when there is no memory for the plain matrix.
std::unique_ptr<Weight> CudaOps::QuantizeRows(const Tensor& host_matrix,
                                              std::unique_ptr<CudaWeight> weight) {
  const std::unique_ptr<Weight> uploaded = Prepare(host_matrix, WeightUse::kLinear);
  if (uploaded == nullptr) return nullptr;
  const Tensor& matrix = weight->matrix;
  const int64_t rows = matrix.dim(0);
  Tensor scale = Tensor::Of(matrix.as<char>() + weight->scales.offset, DType::kFloat32, 1, rows);
  scale.row_stride = RoundUp(rows, kGroupRows);
  Quantize(static_cast<const CudaWeight&>(*uploaded).matrix, Activation(matrix, scale));
  Check(cudaStreamSynchronize(stream_), "weight");
  return weight;
}

}  // namespace regatta
