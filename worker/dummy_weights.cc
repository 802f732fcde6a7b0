// A counter-based generator of normal-like values; see dummy_weights.h.
#include "worker/dummy_weights.h"

#include <cmath>

#include "absl/strings/string_view.h"
#include "kernels/dtype.h"

namespace regatta {
namespace {

constexpr float kEmbeddingDeviation = 0.02f;

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a counter through it is a generator whose
// n-th value costs two multiplications, and no state.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// FNV-1a.
uint64_t HashName(absl::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

// The sum of four random bytes, moved to mean 0 and standard deviation 1: close to normal.
float NormalOf(uint32_t bits) {
  const uint32_t pairs = (bits & 0x00ff00ffu) + ((bits >> 8) & 0x00ff00ffu);
  const int sum = static_cast<int>((pairs & 0xffffu) + (pairs >> 16));
  constexpr float kMean = 510.0f;
  constexpr float kDeviation = 147.8f;  // sqrt(4 (256^2 - 1) / 12)
  return (static_cast<float>(sum) - kMean) / kDeviation;
}

class DummySource final : public TensorSource {
 public:
  explicit DummySource(uint64_t seed) : seed_(seed) {}

  absl::Status Check(const std::vector<TensorInfo>&) const override { return absl::OkStatus(); }

  void Read(const TensorInfo& tensor, const Slice& slice, const Tensor& out) const override {
    DispatchActivation(out.dtype, [&](auto type) {
      for (int64_t row = 0; row < slice.rows; ++row) {
        const uint64_t first =
            static_cast<uint64_t>((slice.first_row + row) * tensor.columns + slice.first_column);
        FillRow(tensor, first, out.Rows(row, 1).as<decltype(type)>(), slice.columns);
      }
    });
  }

  Tensor View(const TensorInfo&, const Slice&, DType) const override { return {}; }

 private:
  // Elements [first, first + count) of the tensor, counted over all of it.
  template <typename T>
  void FillRow(const TensorInfo& tensor, uint64_t first, T* out, int64_t count) const {
    const float deviation = DeviationOf(tensor);
    if (deviation == 0) {
      for (int64_t i = 0; i < count; ++i) out[i] = FromFloat<T>(1.0f);
      return;
    }
    const uint64_t key = Mix(seed_ ^ HashName(tensor.name));
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t index = first + static_cast<uint64_t>(i);
      const uint64_t bits = Mix(key + (index >> 1) * 0x9e3779b97f4a7c15ull);  // two elements each
      const uint32_t half = static_cast<uint32_t>(bits >> ((index & 1) * 32));
      out[i] = FromFloat<T>(NormalOf(half) * deviation);
    }
  }

  // 0 for norms.
  static float DeviationOf(const TensorInfo& tensor) {
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

  const uint64_t seed_;
};

}  // namespace

std::unique_ptr<TensorSource> MakeDummySource(uint64_t seed) {
  return std::make_unique<DummySource>(seed);
}

}  // namespace regatta
