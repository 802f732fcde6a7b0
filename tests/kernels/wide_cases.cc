// Products of many tokens, alone and with a gate, and of any number with what adds them to a
// residual, against float64.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

struct Shape {
  int64_t tokens, in, features;
};

// What a sum may be off by, of the sum of its terms' magnitudes: Hopper's tensor cores keep about
// 14 bits of a sum of E4M3 products.
double SumRounding(bool quantized) { return quantized ? 0x1p-11 : 0x1p-20; }

TestWeight MakeWeight(Ops& ops, DType dtype, std::optional<WeightForm> form, int64_t out,
                      int64_t in, Random& random) {
  return form.has_value() ? QuantizedWeight(ops, *form, out, in, random)
                          : NormalWeight(ops, dtype, out, in, random);
}

// Normal values in the form that a weight takes; of plain ones rows are parts of wider ones, with
// NaNs behind.
struct Input {
  DeviceTensor plain;
  std::optional<QuantizedActivation> quantized;

  Input(Ops& ops, DType dtype, ActivationFormat format, const Shape& shape, Random& random)
      : plain(
            DeviceTensor::Normal(ops, dtype, {shape.tokens, shape.in}, random, 1, shape.in + 16)) {
    if (format == ActivationFormat::kPlain) return;
    quantized.emplace(ops, format, shape.tokens, shape.in);
    ops.Quantize(plain, *quantized);
  }
  Activation x() const { return quantized ? quantized->view() : Activation(plain.tensor()); }
  std::vector<double> Read() const { return quantized ? quantized->Read() : plain.Read(); }
};

struct Sum {
  double value = 0, magnitude = 0;
};

// Row t of x times row n of a weight.
Sum SumOf(const std::vector<double>& x, int64_t t, const std::vector<double>& weight, int64_t n,
          int64_t in) {
  Sum sum;
  for (int64_t k = 0; k < in; ++k) {
    const double term = x[t * in + k] * weight[n * in + k];
    sum.value += term;
    sum.magnitude += std::abs(term);
  }
  return sum;
}

void CheckProduct(Ops& ops, DType dtype, std::optional<WeightForm> form, const Shape& shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const auto [tokens, in, features] = shape;
  const TestWeight weight = MakeWeight(ops, dtype, form, features, in, random);
  const Input input(ops, dtype, weight.weight->input, shape, random);
  const DeviceTensor out(ops, dtype, {tokens, features}, features + 8);
  ops.Linear(input.x(), *weight.weight, Tensor{}, out);
  const std::vector<double> x = input.Read();
  std::vector<double> want, errors;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t n = 0; n < features; ++n) {
      const Sum sum = SumOf(x, t, weight.values, n, in);
      want.push_back(sum.value);
      errors.push_back(SumRounding(form.has_value()) * sum.magnitude);
    }
  }
  ExpectNear(out.Read(), want, 1.01 * RoundingOf(dtype), errors, "product");
}

struct Gated {
  double value = 0, error = 0;  // the most that sums may be off by
};

// Of one token and feature, from sums of terms that are added up to `sum_rounding` of their
// magnitudes, and may be rounded themselves.
Gated GateOf(const Sum& gate, const Sum& up, double sum_rounding, double rounding) {
  const auto error_of = [&](const Sum& sum) {
    return rounding * std::abs(sum.value) + sum_rounding * sum.magnitude;
  };
  const double silu = gate.value / (1 + std::exp(-gate.value));
  const double silu_error = 1.1 * error_of(gate);  // its slope is at most 1.1
  return {silu * up.value,
          silu_error * std::abs(up.value) + (std::abs(silu) + silu_error) * error_of(up)};
}

// `dtype` is what is multiplied unless there is a `form`, and what is between product and gate
// where they are apart.
void CheckGated(Ops& ops, DType dtype, std::optional<WeightForm> form, const Shape& shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const auto [tokens, in, features] = shape;
  const TestWeight gate_up = MakeWeight(ops, dtype, form, 2 * features, in, random);
  const Input input(ops, dtype, gate_up.weight->input, shape, random);
  const DeviceTensor between(ops, dtype, {tokens, 2 * features});
  const DeviceTensor plain(ops, dtype, {tokens, features}, features + 8);
  std::optional<QuantizedActivation> quantized;
  if (form.has_value()) quantized.emplace(ops, ActivationFormat::kStatic, tokens, features);
  ops.GatedProduct(input.x(), *gate_up.weight, between,
                   quantized ? quantized->view() : Activation(plain.tensor()));
  const std::vector<double> x = input.Read();
  std::vector<double> want, errors;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t f = 0; f < features; ++f) {
      const Gated gated =
          GateOf(SumOf(x, t, gate_up.values, f, in), SumOf(x, t, gate_up.values, features + f, in),
                 SumRounding(form.has_value()), RoundingOf(dtype));
      want.push_back(gated.value);
      errors.push_back(gated.error + 1e-6);
    }
  }
  if (form.has_value()) {
    ExpectQuantized(*quantized, ActivationFormat::kStatic, features, want, "gated", errors);
  } else {
    ExpectNear(plain.Read(), want, 2 * RoundingOf(dtype), errors, "gated");
  }
}

// Stands in for a group of two ranks that hold the same partial sums.
class DoublingReducer final : public Reducer {
 public:
  explicit DoublingReducer(Ops& ops) : ops_(ops) {}
  int size() const override { return 2; }
  void AllReduceSum(const Tensor& x) override {
    CHECK(x.dense());
    ops_.AddScaled(x, x, Tensor{});
    ++calls;
  }
  int calls = 0;

 private:
  Ops& ops_;
};

std::vector<double> Normed(std::vector<double> rows, const std::vector<double>& scale, double eps) {
  const size_t width = scale.size();
  for (size_t first = 0; first < rows.size(); first += width) {
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += std::pow(rows[first + i], 2);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (size_t i = 0; i < width; ++i) rows[first + i] *= inverse * scale[i];
  }
  return rows;
}

// residual += x W^T of so many ranks, which hold the same, and its norm, which is static of a
// weight with a `form`. Rows of the residual are parts of wider ones.
void CheckAdding(Ops& ops, DType dtype, std::optional<WeightForm> form, int64_t tokens, int ranks) {
  constexpr int64_t kIn = 208, kHidden = 144;
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = MakeWeight(ops, dtype, form, kHidden, kIn, random);
  const Input input(ops, dtype, weight.weight->input, {tokens, kIn, kHidden}, random);
  const DeviceTensor norm = DeviceTensor::Normal(ops, dtype, {kHidden}, random);
  const DeviceTensor residual =
      DeviceTensor::Normal(ops, dtype, {tokens, kHidden}, random, 1, kHidden + 8);
  const int64_t rows = (tokens + kGroupRows - 1) / kGroupRows * kGroupRows;
  const DeviceTensor delta(ops, dtype, {rows, kHidden}), plain(ops, dtype, {tokens, kHidden});
  const QuantizedActivation quantized(ops, ActivationFormat::kStatic, tokens, kHidden);
  std::vector<double> want = residual.Read(), errors;
  OneRank one;
  DoublingReducer two(ops);
  ops.LinearReduceAddNorm(input.x(), *weight.weight, ranks == 1 ? static_cast<Reducer&>(one) : two,
                          residual, delta.tensor().Rows(0, tokens), norm, 1e-5f,
                          form.has_value() ? quantized.view() : Activation(plain.tensor()));
  EXPECT_EQ(two.calls, ranks - 1);
  const std::vector<double> x = input.Read();
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t n = 0; n < kHidden; ++n) {
      const Sum sum = SumOf(x, t, weight.values, n, kIn);
      want[t * kHidden + n] += ranks * sum.value;
      errors.push_back(ranks * (1.01 * RoundingOf(dtype) * std::abs(sum.value) +
                                SumRounding(form.has_value()) * sum.magnitude));
    }
  }
  const std::vector<double> got = residual.Read();
  ExpectNear(got, want, 1.01 * RoundingOf(dtype), errors, "residual");
  want = Normed(got, norm.Read(), 1e-5f);
  if (form.has_value()) {
    ExpectQuantized(quantized, ActivationFormat::kStatic, kHidden, want, "norm");
  } else {
    ExpectNear(plain.Read(), want, 1.01 * RoundingOf(dtype) + 1e-6, 1e-6, "norm");
  }
}

}  // namespace

std::vector<OpCase> AddingCases() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, DType dtype, std::optional<WeightForm> form) {
    for (const int64_t tokens : {1, 3, 17, 129, 300}) {
      for (const int ranks : {1, 2}) {
        cases.push_back({CaseName("LinearReduceAddNorm", name, tokens, "of", ranks),
                         [=](Ops& ops) { CheckAdding(ops, dtype, form, tokens, ranks); }});
      }
    }
  };
  for (const DType dtype : kActivationTypes) add(DTypeName(dtype), dtype, std::nullopt);
  for (const WeightForm form : {WeightForm::kTensor, WeightForm::kChannel, WeightForm::kBlock}) {
    add(FormName(form), DType::kBFloat16, form);
  }
  return cases;
}

std::vector<OpCase> WideCases() {
  std::vector<OpCase> cases;
  const auto add_all = [&](const std::string& name, DType dtype, std::optional<WeightForm> form) {
    // Tiles that are not whole in tokens, depth and features; on a device of few multiprocessors
    // all sizes of tiles alone and in clusters, several to a block.
    const Shape gated[] = {{33, 64, 128},    {128, 1040, 144}, {257, 144, 1008}, {300, 4096, 16},
                           {33, 1040, 528},  {33, 1040, 784},  {33, 1040, 912},  {129, 1040, 272},
                           {129, 1040, 400}, {129, 1040, 464}};
    for (const Shape& shape : gated) {
      cases.push_back({CaseName("Gated", name, shape.tokens, shape.in, shape.features),
                       [=](Ops& ops) { CheckGated(ops, dtype, form, shape); }});
    }
    const Shape plain[] = {{33, 64, 128},     {128, 1040, 136}, {300, 4096, 24},
                           {33, 1040, 2320},  {33, 1040, 1040}, {33, 1040, 1552},
                           {129, 1040, 1168}, {129, 1040, 528}, {129, 1040, 784}};
    for (const Shape& shape : plain) {
      cases.push_back({CaseName("Wide", name, shape.tokens, shape.in, shape.features),
                       [=](Ops& ops) { CheckProduct(ops, dtype, form, shape); }});
    }
  };
  add_all("bfloat16", DType::kBFloat16, std::nullopt);
  add_all("float16", DType::kFloat16, std::nullopt);
  for (const WeightForm form : {WeightForm::kTensor, WeightForm::kChannel}) {
    add_all(FormName(form), DType::kBFloat16, form);
  }
  add_all("tensor_float16", DType::kFloat16, WeightForm::kTensor);
  return cases;
}

}  // namespace regatta
