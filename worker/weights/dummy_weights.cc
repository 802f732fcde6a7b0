// Which formula a tensor has; the formula itself is kernels/dummy_values.h.
#include "worker/weights/dummy_weights.h"

#include <cmath>

#include "common/hash.h"
#include "kernels/activation.h"
#include "worker/weights/router_skew.h"

namespace regatta {
namespace {

constexpr float kEmbeddingDeviation = 0.02f;
constexpr float kLargest = 3.46f;               // deviations, of RoughlyNormal
constexpr float kInputScale = 16 / kFloat8Max;  // inputs are of magnitude 1, few are beyond 16

// 0 for norms.
float DeviationOf(const TensorInfo& tensor) {
  switch (tensor.role) {
    case WeightRole::kInputNorm:
    case WeightRole::kPostAttentionNorm:
    case WeightRole::kFinalNorm:
    case WeightRole::kQNorm:
    case WeightRole::kKNorm:
      return 0;
    case WeightRole::kEmbedding:
    case WeightRole::kQBias:
    case WeightRole::kKBias:
    case WeightRole::kVBias:
      return kEmbeddingDeviation;
    default:
      return 1 / std::sqrt(static_cast<float>(tensor.columns));
  }
}

// The scale of a matrix in E4M3.
float ScaleOf(const TensorInfo& tensor) { return DeviationOf(tensor) * kLargest / kFloat8Max; }

class DummySource final : public TensorSource {
 public:
  explicit DummySource(const DummyOptions& options) : options_(options) {}

  absl::Status Check(const std::vector<TensorInfo>&) const override { return absl::OkStatus(); }

  bool IsQuantized(const TensorInfo& tensor) const override {
    const QuantizationSpec& quantization = options_.quantization;
    return quantization.enabled() && !quantization.online && IsQuantizable(tensor.role);
  }

  StoredScales Scales(const TensorInfo& tensor) const override {
    const auto blocks = [](int64_t n) { return (n + kScaleBlock - 1) / kScaleBlock; };
    const QuantizationScheme scheme = options_.quantization.scheme;
    const bool per_block = scheme == QuantizationScheme::kBlock;
    StoredScales scales;
    scales.weight.assign(per_block ? blocks(tensor.rows) * blocks(tensor.columns) : 1,
                         ScaleOf(tensor));
    if (scheme == QuantizationScheme::kTensor) scales.input = kInputScale;
    return scales;
  }

  absl::StatusOr<float> CacheScale(int, bool) const override { return 1.0f; }

  void Read(const TensorInfo& tensor, const Slice& slice, const Tensor& out) const override {
    for (const FormulaRows& part : Formulas(tensor, slice)) {
      FillDummyOnHost(out.Rows(part.first_row, part.rows), part.values);
    }
  }

  Tensor View(const TensorInfo&, const Slice&, DType) const override { return {}; }

  std::vector<FormulaRows> Formulas(const TensorInfo& tensor, const Slice& slice) const override {
    DummyValues values;
    values.key = MixBits(options_.seed ^ Fnv1a(tensor.name));
    values.first = static_cast<uint64_t>(slice.first_row * tensor.columns + slice.first_column);
    values.pitch = static_cast<uint64_t>(tensor.columns);
    values.deviation = DeviationOf(tensor);
    if (IsQuantized(tensor)) values.deviation /= ScaleOf(tensor);
    const bool skewed = tensor.role == WeightRole::kRouter && options_.router_skew > 0;
    if (!skewed) return {{0, slice.rows, values}};
    return SkewedRows(tensor, slice, values);
  }

 private:
  // Each row scaled by itself.
  std::vector<FormulaRows> SkewedRows(const TensorInfo& tensor, const Slice& slice,
                                      const DummyValues& values) const {
    const std::vector<float> scales =
        RouterRowScales(static_cast<int>(tensor.rows), options_.experts_per_token,
                        options_.router_skew, values.key);
    std::vector<FormulaRows> parts;
    for (int64_t row = 0; row < slice.rows; ++row) {
      DummyValues scaled = values;
      scaled.first += static_cast<uint64_t>(row) * values.pitch;
      scaled.deviation *= scales[slice.first_row + row];
      parts.push_back({row, 1, scaled});
    }
    return parts;
  }

  const DummyOptions options_;
};

}  // namespace

std::unique_ptr<TensorSource> MakeDummySource(const DummyOptions& options) {
  return std::make_unique<DummySource>(options);
}

}  // namespace regatta
