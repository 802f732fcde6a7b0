// Fusing scales by scheme; see scaled_matrix.h.
#include "worker/weights/scaled_matrix.h"

#include <algorithm>

#include "common/check.h"
#include "kernels/dtype.h"

namespace regatta {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements per thread at least

// numbers = numbers * factor, rounded.
void Rescale(const Tensor& numbers, float factor, ThreadPool& pool) {
  const int64_t columns = numbers.dim(1);
  pool.ParallelFor(numbers.dim(0), kGrain / columns + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      auto* x = numbers.as<Float8E4M3>() + row * numbers.row_stride;
      for (int64_t i = 0; i < columns; ++i) x[i] = FromFloat<Float8E4M3>(ToFloat(x[i]) * factor);
    }
  });
}

void FuseTensorScales(const std::vector<ScaledPart>& parts, const Tensor& numbers, ThreadPool& pool,
                      MatrixScales& fused) {
  float largest = 0;
  for (const ScaledPart& part : parts) {
    largest = std::max(largest, part.scales.weight[0]);
    fused.input = std::max(fused.input, part.scales.input);
  }
  int64_t row = 0;
  for (const ScaledPart& part : parts) {
    const float factor = part.scales.weight[0] / largest;
    if (factor < 1) Rescale(numbers.Rows(row, part.slice.rows), factor, pool);
    row += part.slice.rows;
  }
  fused.values = {largest};
}

void FuseChannelScales(const std::vector<ScaledPart>& parts, std::vector<float>& fused) {
  for (const ScaledPart& part : parts) {
    const std::vector<float>& all = part.scales.weight;
    for (int64_t row = 0; row < part.slice.rows; ++row) {
      fused.push_back(all.size() == 1 ? all[0] : all[part.slice.first_row + row]);
    }
  }
}

// Slices are whole blocks (CheckLayout).
void FuseBlockScales(const std::vector<ScaledPart>& parts, std::vector<float>& fused) {
  const auto blocks = [](int64_t n) { return (n + kScaleBlock - 1) / kScaleBlock; };
  for (const ScaledPart& part : parts) {
    const int64_t first_column = part.slice.first_column / kScaleBlock;
    CHECK_EQ(part.slice.first_row % kScaleBlock, 0);
    CHECK_EQ(part.slice.first_column % kScaleBlock, 0);
    CHECK(parts.size() == 1 || part.slice.rows % kScaleBlock == 0);
    for (int64_t r = 0; r < blocks(part.slice.rows); ++r) {
      const int64_t row = part.slice.first_row / kScaleBlock + r;
      const float* from = part.scales.weight.data() + row * blocks(part.tensor.columns);
      fused.insert(fused.end(), from + first_column,
                   from + first_column + blocks(part.slice.columns));
    }
  }
}

}  // namespace

MatrixScales FuseScales(const std::vector<ScaledPart>& parts, QuantizationScheme scheme,
                        const Tensor& numbers, ThreadPool& pool) {
  MatrixScales fused;
  if (scheme == QuantizationScheme::kTensor) {
    FuseTensorScales(parts, numbers, pool, fused);
  } else if (scheme == QuantizationScheme::kChannel) {
    FuseChannelScales(parts, fused.values);
  } else {
    FuseBlockScales(parts, fused.values);
  }
  const auto count = static_cast<int64_t>(fused.values.size());
  const int64_t columns = (parts[0].slice.columns + kScaleBlock - 1) / kScaleBlock;
  float* values = fused.values.data();
  fused.view = scheme == QuantizationScheme::kBlock
                   ? Tensor::Of(values, DType::kFloat32, count / columns, columns)
                   : Tensor::Of(values, DType::kFloat32, count);
  return fused;
}

}  // namespace regatta
