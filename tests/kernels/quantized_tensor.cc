// Scales as the definition says them, and comparison of what E4M3 numbers stand for.
#include "tests/kernels/quantized_tensor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/dtype.h"

namespace regatta {
namespace {

int64_t Blocks(int64_t n) { return (n + kScaleGroup - 1) / kScaleGroup; }

int64_t PaddedRows(int64_t tokens) { return (tokens + kGroupRows - 1) / kGroupRows * kGroupRows; }

// Scales in the shape of `form`, spread over a factor of 4.
std::vector<float> RandomScales(WeightForm form, int64_t out, int64_t in, Random& random) {
  std::uniform_real_distribution<float> uniform(0.5f, 2.0f);
  const int64_t count = form == WeightForm::kTensor    ? 1
                        : form == WeightForm::kChannel ? out
                                                       : Blocks(out) * Blocks(in);
  std::vector<float> scales(count);
  for (float& scale : scales) scale = uniform(random) / 64 / std::sqrt(static_cast<float>(in));
  return scales;
}

// A plain matrix, and what becomes of its rows. In the arithmetic of every backend: an element on
// the edge between two numbers must not become the other one.
TestWeight OnlineWeight(Ops& ops, int64_t out, int64_t in, Random& random, WeightUse use) {
  std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(in)));
  std::vector<BFloat16> host(out * in);
  TestWeight made;
  for (BFloat16& element : host) element = FromFloat<BFloat16>(normal(random));
  for (int64_t n = 0; n < out; ++n) {
    float peak = 0;
    for (int64_t k = 0; k < in; ++k) peak = std::max(peak, std::abs(ToFloat(host[n * in + k])));
    const float scale = std::max(peak, kSmallestPeak) * (1 / kFloat8Max);
    const float inverse = 1 / scale;
    for (int64_t k = 0; k < in; ++k) {
      const float number = ToFloat(FromFloat<Float8E4M3>(ToFloat(host[n * in + k]) * inverse));
      made.values.push_back(double{number} * scale);
    }
  }
  QuantizedMatrix matrix;
  matrix.values = Tensor::Of(host.data(), DType::kBFloat16, out, in);
  made.weight = ops.PrepareQuantized(matrix, use);
  return made;
}

}  // namespace

const char* FormName(WeightForm form) {
  constexpr const char* kNames[] = {"tensor", "channel", "block", "online"};
  return kNames[static_cast<int>(form)];
}

const char* FormatName(ActivationFormat format) {
  constexpr const char* kNames[] = {"plain", "static", "token", "group"};
  return kNames[static_cast<int>(format)];
}

TestWeight QuantizedWeight(Ops& ops, WeightForm form, int64_t out, int64_t in, Random& random,
                           WeightUse use) {
  if (form == WeightForm::kOnline) return OnlineWeight(ops, out, in, random, use);
  std::vector<float> scales = RandomScales(form, out, in, random);
  std::normal_distribution<float> normal(0, 64);
  std::vector<Float8E4M3> host(out * in);
  TestWeight made;
  for (int64_t n = 0; n < out; ++n) {
    for (int64_t k = 0; k < in; ++k) {
      host[n * in + k] = FromFloat<Float8E4M3>(normal(random));
      const int64_t scale = form == WeightForm::kTensor ? 0
                            : form == WeightForm::kChannel
                                ? n
                                : n / kScaleGroup * Blocks(in) + k / kScaleGroup;
      made.values.push_back(double{ToFloat(host[n * in + k])} * scales[scale]);
    }
  }
  QuantizedMatrix matrix;
  matrix.values = Tensor::Of(host.data(), DType::kFloat8E4M3, out, in);
  const auto count = static_cast<int64_t>(scales.size());
  matrix.scale = form == WeightForm::kBlock
                     ? Tensor::Of(scales.data(), DType::kFloat32, Blocks(out), Blocks(in))
                     : Tensor::Of(scales.data(), DType::kFloat32, count);
  if (form == WeightForm::kTensor) matrix.input_scale = kTestInputScale;
  made.weight = ops.PrepareQuantized(matrix, use);
  return made;
}

QuantizedActivation::QuantizedActivation(Ops& ops, ActivationFormat format, int64_t tokens,
                                         int64_t width)
    : tokens_(tokens),
      width_(width),
      values_(ops, DType::kFloat8E4M3, {PaddedRows(tokens), width}),
      scale_(ops, DType::kFloat32,
             format == ActivationFormat::kStatic
                 ? std::vector<int64_t>{1}
                 : std::vector<int64_t>{format == ActivationFormat::kPerToken ? 1 : Blocks(width),
                                        PaddedRows(tokens)}) {
  if (format == ActivationFormat::kStatic) scale_.Write({kTestInputScale});
}

std::vector<double> QuantizedActivation::Scales() const {
  const std::vector<double> all = scale_.Read();
  const Activation form = view();
  std::vector<double> scales;
  for (int64_t t = 0; t < tokens_; ++t) {
    for (int64_t i = 0; i < width_; ++i) {
      const int64_t at = form.is_static() ? 0 : i / form.group() * PaddedRows(tokens_) + t;
      scales.push_back(all[at]);
    }
  }
  return scales;
}

std::vector<double> QuantizedActivation::Read() const {
  std::vector<double> values = values_.Read();
  const std::vector<double> scales = Scales();
  values.resize(scales.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] *= scales[i];
  return values;
}

void ExpectQuantized(const QuantizedActivation& got, ActivationFormat format, int64_t width,
                     const std::vector<double>& want, const std::string& what) {
  ExpectQuantized(got, format, width, want, what, std::vector<double>(want.size()));
}

void ExpectQuantized(const QuantizedActivation& got, ActivationFormat format, int64_t width,
                     const std::vector<double>& want, const std::string& what,
                     const std::vector<double>& errors) {
  const std::vector<double> values = got.Read();
  const std::vector<double> scales = got.Scales();
  ASSERT_EQ(values.size(), want.size()) << what;
  const int64_t group = got.view().group();
  for (size_t i = 0; i < want.size(); ++i) {
    if (format != ActivationFormat::kStatic) {
      const auto column = static_cast<int64_t>(i) % width;
      const size_t first = i - column % group;
      const size_t end = first + std::min(group, width - column / group * group);
      double peak = 0;
      for (size_t j = first; j < end; ++j) peak = std::max(peak, std::abs(want[j]));
      ASSERT_NEAR(scales[i], peak / kFloat8Max, 1e-5 * peak / kFloat8Max) << what << " scale " << i;
    }
    const double most = kFloat8Max * scales[i];
    const double held = std::clamp(want[i], -most, most);
    const double limit = 0x1.01p-4 * std::abs(held) + 0x1.1p-10 * scales[i] + errors[i];
    ASSERT_LE(std::abs(values[i] - held), limit)
        << what << ": element " << i << " stands for " << values[i] << ", not " << held;
  }
}

}  // namespace regatta
