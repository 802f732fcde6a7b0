// Work is cut into (row block, panel) units; a unit accumulates in a small tile of float32, adds
// the bias and rounds once.
#include "kernels/cpu/gemm.h"

#include <algorithm>

#include "kernels/cpu/memory.h"
#include "kernels/cpu/multiply.h"
#include "kernels/dtype.h"

namespace regatta {
namespace {

constexpr int64_t kRowBlock = 96;     // rows of x that stay in the second-level cache across panels
constexpr int64_t kDepthBlock = 512;  // so that a slice of a panel stays there across rows
constexpr int64_t kMinUnitWork =
    1 << 17;  // multiply-adds worth waking a thread for, about 3 microseconds

int64_t RowBlocks(const Product& product) {
  return (product.out.dim(0) + kRowBlock - 1) / kRowBlock;
}

int64_t NumUnits(const Product& product) {
  return RowBlocks(product) * product.weight->num_panels();
}

// Rounds a tile of sums to the output, bias added.
void StoreTile(const float* tile, int64_t tile_stride, int64_t rows, int64_t columns,
               const Product& product, int64_t first_row, int64_t first_column) {
  const Tensor& out = product.out;
  const Tensor& bias = product.bias;
  DispatchActivation(out.dtype, [&](auto out_zero) {
    using Out = decltype(out_zero);
    Out* to = out.as<Out>() + first_row * out.row_stride + first_column;
    DispatchActivation(bias ? bias.dtype : out.dtype, [&](auto bias_zero) {
      using Bias = decltype(bias_zero);
      const Bias* add = bias ? bias.as<Bias>() + first_column : nullptr;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const float sum = tile[r * tile_stride + c] + (add ? ToFloat(add[c]) : 0.0f);
          to[r * out.row_stride + c] = FromFloat<Out>(sum);
        }
      }
    });
  });
}

// tile += partial * scale of x * scale of the weight, all over features of one group.
void AddScaled(const float* partial, int64_t width, int64_t rows, int64_t columns,
               const Product& product, int64_t first_row, int64_t first_column, int64_t first_depth,
               float* tile) {
  const PanelWeight& weight = *product.weight;
  const float* weight_scale =
      weight.scales.data() + first_depth / weight.group * weight.out_features + first_column;
  const Tensor& x_scale = product.x_scale;
  const int64_t x_group = x_scale.rank == 2 && x_scale.dim(0) > 1 ? first_depth / kScaleGroup : 0;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = x_scale.rank == 2 ? x_group * x_scale.row_stride + first_row + r : 0;
    const float scale = x_scale ? x_scale.as<float>()[at] : 1.0f;
    for (int64_t c = 0; c < columns; ++c) {
      tile[r * width + c] += partial[r * width + c] * (scale * weight_scale[c]);
    }
  }
}

// Computes one panel's columns of one block of rows.
template <int kVector>
void MultiplyUnit(const Product& product, int64_t row_block, int64_t panel) {
  constexpr int kWidth = PanelWidth(kVector);
  const PanelWeight& weight = *product.weight;
  const int64_t first_row = row_block * kRowBlock;
  const int64_t rows = std::min(kRowBlock, product.out.dim(0) - first_row);
  const int64_t first_column = panel * kWidth;
  const int64_t columns = std::min<int64_t>(kWidth, weight.out_features - first_column);
  alignas(64) float tile[kRowBlock * kWidth];
  alignas(64) float partial[kRowBlock * kWidth];
  std::fill_n(tile, rows * kWidth, 0.0f);
  const bool scaled = !weight.scales.empty();
  const int64_t step = scaled ? std::min(kDepthBlock, weight.group) : kDepthBlock;
  for (int64_t k = 0; k < weight.in_features; k += step) {
    if (scaled) std::fill_n(partial, rows * kWidth, 0.0f);
    MultiplyPanel<kVector>(rows, product.x + first_row * product.x_stride + k, product.x_stride,
                           weight.panel(panel) + k * kWidth, kWidth,
                           std::min(step, weight.in_features - k), scaled ? partial : tile, kWidth);
    if (scaled) {
      AddScaled(partial, kWidth, rows, columns, product, first_row, first_column, k, tile);
    }
  }
  StoreTile(tile, kWidth, rows, columns, product, first_row, first_column);
}

}  // namespace

std::unique_ptr<PanelWeight> PackPanels(ThreadPool& pool, VectorIsa isa, const Tensor& matrix) {
  CHECK_EQ(matrix.rank, 2);
  auto weight = std::make_unique<PanelWeight>();
  weight->out_features = matrix.dim(0);
  weight->in_features = matrix.dim(1);
  weight->panel_width = PanelWidth(VectorFloatsOf(isa));
  const int64_t width = weight->panel_width;
  const int64_t depth = weight->in_features;
  weight->buffer = AllocateZeroed(sizeof(float) * weight->num_panels() * depth * width);
  if (weight->buffer.data() == nullptr) return nullptr;
  DispatchStorage(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    pool.ParallelFor(weight->num_panels(), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t p = begin; p < end; ++p) {
        const T* rows = matrix.as<T>() + p * width * matrix.row_stride;
        const int64_t columns = std::min(width, weight->out_features - p * width);
        float* panel = static_cast<float*>(weight->buffer.data()) + p * depth * width;
        for (int64_t k = 0; k < depth; ++k) {
          for (int64_t c = 0; c < columns; ++c) {
            panel[k * width + c] = ToFloat(rows[c * matrix.row_stride + k]);
          }
        }
      }
    });
  });
  return weight;
}

std::unique_ptr<PanelWeight> PackPanels(ThreadPool& pool, VectorIsa isa,
                                        const QuantizedMatrix& matrix) {
  CHECK(matrix.values.dtype == DType::kFloat8E4M3);
  std::unique_ptr<PanelWeight> weight = PackPanels(pool, isa, matrix.values);
  if (weight == nullptr) return nullptr;
  const bool blocks = matrix.scale.rank == 2;
  const int64_t out = weight->out_features;
  weight->group = blocks ? kScaleGroup : std::max<int64_t>(1, weight->in_features);
  const int64_t groups = blocks ? matrix.scale.dim(1) : 1;
  const float* scale = matrix.scale.as<float>();
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t n = 0; n < out; ++n) {
      const int64_t at = blocks ? n / kScaleGroup * groups + g : matrix.scale.dim(0) == 1 ? 0 : n;
      weight->scales.push_back(scale[at]);
    }
  }
  weight->input = matrix.input();
  if (weight->input == ActivationFormat::kStatic) {
    weight->static_scale = matrix.input_scale;
    weight->input_scale = Tensor::Of(&weight->static_scale, DType::kFloat32, 1);
  }
  return weight;
}

void Multiply(ThreadPool& pool, VectorIsa isa, std::span<const Product> products) {
  int64_t units = 0;
  int64_t work = 0;
  for (const Product& product : products) {
    CHECK_EQ(product.weight->panel_width, PanelWidth(VectorFloatsOf(isa)));
    CHECK_EQ(product.out.dim(1), product.weight->out_features);
    units += NumUnits(product);
    work += product.out.dim(0) * product.weight->out_features * product.weight->in_features;
  }
  if (units == 0) return;
  const int64_t grain = std::max<int64_t>(1, kMinUnitWork / std::max<int64_t>(1, work / units));
  pool.ParallelFor(units, grain, [&](int64_t begin, int64_t end, int) {
    Vectorized(isa, [&](auto vector) {
      size_t p = 0;
      int64_t first_unit = 0;  // of products[p]
      for (int64_t unit = begin; unit < end; ++unit) {
        while (unit >= first_unit + NumUnits(products[p])) first_unit += NumUnits(products[p++]);
        const int64_t panels = products[p].weight->num_panels();
        const int64_t index = unit - first_unit;
        MultiplyUnit<decltype(vector)::value>(products[p], index / panels, index % panels);
      }
    });
  });
}

}  // namespace regatta
