// Products that norm what they read or add what they give: the bits of the operations that they
// stand for, one after another.
#include <gtest/gtest.h>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

constexpr float kEps = 1e-5f;

// A model's dtype, and how its weights are quantised, if they are.
struct Kind {
  DType dtype;
  std::optional<WeightForm> form;
};

struct Shape {
  int64_t tokens, in, out;
};

TestWeight WeightOf(Ops& ops, const Kind& kind, int64_t out, int64_t in, Random& random) {
  return kind.form.has_value() ? QuantizedWeight(ops, *kind.form, out, in, random)
                               : NormalWeight(ops, kind.dtype, out, in, random);
}

// Memory for the input of a weight of `kind`, NaN until written.
class Input {
 public:
  Input(Ops& ops, const Kind& kind, const Weight& weight, int64_t tokens) {
    if (kind.form.has_value()) {
      quantized_ =
          std::make_unique<QuantizedActivation>(ops, weight.input, tokens, weight.in_features);
    } else {
      plain_ = std::make_unique<DeviceTensor>(ops, kind.dtype,
                                              std::vector<int64_t>{tokens, weight.in_features});
    }
  }
  operator Activation() const { return plain_ ? Activation(plain_->tensor()) : quantized_->view(); }
  // The values in the weight's form, which of plain ones are themselves.
  Activation Take(Ops& ops, const Tensor& values) const {
    if (plain_) return values;
    ops.Quantize(values, quantized_->view());
    return quantized_->view();
  }
  std::vector<double> Read() const { return plain_ ? plain_->Read() : quantized_->Read(); }

 private:
  std::unique_ptr<DeviceTensor> plain_;
  std::unique_ptr<QuantizedActivation> quantized_;
};

// x times the weight, in float64, and the sums of the terms' magnitudes.
void Multiply(const std::vector<double>& x, const TestWeight& weight, const Shape& shape,
              std::vector<double>& sums, std::vector<double>& magnitudes) {
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.out; ++n) {
      double& sum = sums[t * shape.out + n];
      double& magnitude = magnitudes[t * shape.out + n];
      magnitude = std::abs(sum);
      for (int64_t k = 0; k < shape.in; ++k) {
        const double term = x[t * shape.in + k] * weight.values[n * shape.in + k];
        sum += term;
        magnitude += std::abs(term);
      }
    }
  }
}

// Of sums of those magnitudes, rounded to `dtype` as often as said; tensor cores keep about 14 bits
// of sums of E4M3 products between additions in float32.
std::vector<double> LimitsOf(const Kind& kind, int roundings, const std::vector<double>& sums,
                             const std::vector<double>& magnitudes) {
  std::vector<double> limits;
  for (size_t i = 0; i < sums.size(); ++i) {
    limits.push_back(roundings * RoundingOf(kind.dtype) * 1.01 * std::abs(sums[i]) +
                     (kind.form.has_value() ? 0x1p-11 : 0x1p-16) * magnitudes[i]);
  }
  return limits;
}

// Rows of the residual are wider than what is normed: beyond it there are NaNs.
void CheckNormLinear(Ops& ops, const Kind& kind, const Shape& shape, bool with_bias) {
  const auto [tokens, in, features] = shape;
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = WeightOf(ops, kind, features, in, random);
  const DeviceTensor residual =
      DeviceTensor::Normal(ops, kind.dtype, {tokens, in}, random, 3, in + 8);
  const DeviceTensor norm = DeviceTensor::Normal(ops, kind.dtype, {in}, random);
  const DeviceTensor memory = DeviceTensor::Normal(ops, kind.dtype, {features}, random);
  const Tensor bias = with_bias ? memory.tensor() : Tensor{};
  const Input scratch(ops, kind, *weight.weight, tokens);
  const Input normed(ops, kind, *weight.weight, tokens);
  const DeviceTensor fused(ops, kind.dtype, {tokens, features}, features + 3);
  const DeviceTensor composed(ops, kind.dtype, {tokens, features}, features + 3);
  ops.NormLinear({residual, norm, kEps, scratch}, *weight.weight, bias, fused);
  ops.RmsNorm(residual, norm, kEps, normed);
  ops.Linear(normed, *weight.weight, bias, composed);
  EXPECT_EQ(fused.Bits(), composed.Bits());
  const std::vector<double> added = with_bias ? memory.Read() : std::vector<double>(features);
  std::vector<double> want, magnitudes(tokens * features);
  for (int64_t t = 0; t < tokens; ++t) want.insert(want.end(), added.begin(), added.end());
  Multiply(normed.Read(), weight, shape, want, magnitudes);
  ExpectNear(fused.Read(), want, 0, LimitsOf(kind, 1, want, magnitudes), "NormLinear");
}

void CheckLinearAdd(Ops& ops, const Kind& kind, const Shape& shape) {
  const auto [tokens, in, features] = shape;
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = WeightOf(ops, kind, features, in, random);
  const DeviceTensor plain = DeviceTensor::Normal(ops, kind.dtype, {tokens, in}, random);
  const Input memory(ops, kind, *weight.weight, tokens);
  const Activation x = memory.Take(ops, plain);
  const DeviceTensor start = DeviceTensor::Normal(ops, kind.dtype, {tokens, features}, random);
  DeviceTensor fused(ops, kind.dtype, {tokens, features});
  DeviceTensor composed(ops, kind.dtype, {tokens, features});
  fused.Write(start.Read());
  composed.Write(start.Read());
  const DeviceTensor scratch(ops, kind.dtype, {tokens, features});
  const DeviceTensor delta(ops, kind.dtype, {tokens, features});
  ops.LinearAdd(x, *weight.weight, scratch, fused);
  ops.Linear(x, *weight.weight, Tensor{}, delta);
  ops.AddScaled(composed, delta, Tensor{});
  EXPECT_EQ(fused.Bits(), composed.Bits());
  std::vector<double> want = start.Read(), magnitudes(want.size());
  Multiply(kind.form.has_value() ? memory.Read() : plain.Read(), weight, shape, want, magnitudes);
  std::vector<double> limits = LimitsOf(kind, 1, want, magnitudes);
  const std::vector<double> deltas = delta.Read();
  for (size_t i = 0; i < limits.size(); ++i)
    limits[i] += RoundingOf(kind.dtype) * std::abs(deltas[i]);
  ExpectNear(fused.Read(), want, 0, limits, "LinearAdd");
}

// What a layer works with.
struct Layer {
  Layer(Ops& ops, const Kind& kind, int64_t tokens, int64_t hidden, int64_t width)
      : random(TestSeed()),
        qkv(WeightOf(ops, kind, width, hidden, random)),
        o(WeightOf(ops, kind, hidden, width, random)),
        gate_up(WeightOf(ops, kind, 2 * width, hidden, random)),
        down(WeightOf(ops, kind, hidden, width, random)),
        norm(DeviceTensor::Normal(ops, kind.dtype, {hidden}, random)),
        start(DeviceTensor::Normal(ops, kind.dtype, {tokens, hidden}, random).Read()),
        residual(ops, kind.dtype, {tokens, hidden}),
        delta(ops, kind.dtype, {tokens, hidden}),
        between(ops, kind.dtype, {tokens, width}),
        wide(ops, kind.dtype, {tokens, 2 * width}),
        normed(ops, kind, *qkv.weight, tokens),
        attended(ops, kind, *o.weight, tokens),
        activated(ops, kind, *down.weight, tokens) {}

  NormedInput input() const { return {residual, norm, kEps, normed}; }
  MlpWeights mlp() const { return {gate_up.weight.get(), down.weight.get()}; }

  Random random;
  TestWeight qkv, o, gate_up, down;
  DeviceTensor norm;
  std::vector<double> start;  // of the residual
  DeviceTensor residual, delta, between, wide;
  Input normed, attended, activated;
};

// The bits of the residual after some layers.
std::vector<uint8_t> FusedLayers(Ops& ops, Layer& layer, int count) {
  layer.residual.Write(layer.start);
  for (int i = 0; i < count; ++i) {
    ops.NormLinear(layer.input(), *layer.qkv.weight, Tensor{}, layer.between);
    const Activation attended = layer.attended.Take(ops, layer.between);
    ops.LinearAdd(attended, *layer.o.weight, layer.delta, layer.residual);
    ops.NormMlpAdd(layer.input(), layer.mlp(), {layer.wide, layer.activated}, layer.delta);
  }
  return layer.residual.Bits();
}

// The same of operations that the device ends one by one.
std::vector<uint8_t> ComposedLayers(Ops& ops, Layer& layer, int count) {
  layer.residual.Write(layer.start);
  const auto after = [&] {
    std::string error;
    ASSERT_TRUE(ops.Sync(&error)) << error;
  };
  ops.RmsNorm(layer.residual, layer.norm, kEps, layer.normed);
  for (int i = 0; i < count; ++i) {
    after();
    ops.Linear(layer.normed, *layer.qkv.weight, Tensor{}, layer.between);
    after();
    const Activation attended = layer.attended.Take(ops, layer.between);
    after();
    ops.Linear(attended, *layer.o.weight, Tensor{}, layer.delta);
    after();
    ops.AddRmsNorm(layer.residual, layer.delta, layer.norm, kEps, layer.normed);
    after();
    ops.GatedMlp(layer.normed, layer.mlp(), {layer.wide, layer.activated}, layer.delta);
    after();
    ops.AddRmsNorm(layer.residual, layer.delta, layer.norm, kEps, layer.normed);
  }
  return layer.residual.Bits();
}

// Whatever begins before the one in front has ended: layers give the bits of those with norms of
// their own.
void CheckLayers(Ops& ops, const Kind& kind, int64_t tokens, int64_t hidden, int64_t width) {
  constexpr int kLayers = 12;
  ReserveForCases(ops);
  Layer layer(ops, kind, tokens, hidden, width);
  const std::vector<uint8_t> want = ComposedLayers(ops, layer, kLayers);
  for (int run = 0; run < 3; ++run) {
    ASSERT_EQ(FusedLayers(ops, layer, kLayers), want) << "run " << run;
  }
}

}  // namespace

std::vector<OpCase> FusedNormCases() {
  std::vector<OpCase> cases;
  const auto add_all = [&](const Kind& kind) {
    const std::string name =
        CaseName(DTypeName(kind.dtype), kind.form.has_value() ? FormName(*kind.form) : "plain");
    // Of less than a step of the kernel, of steps shared unevenly, of rows that a norm kernel's
    // threads go over more than once, of more tokens than norms are fused for.
    const Shape shapes[] = {{1, 16, 64},    {7, 192, 100},  {3, 2320, 65},
                            {8, 4096, 40},  {1, 4096, 64},  {5, 1040, 257},
                            {2, 8208, 130}, {4, 16400, 24}, {9, 192, 48}};
    for (const Shape& shape : shapes) {
      for (const bool bias : {false, true}) {
        cases.push_back({CaseName("NormLinear", name, bias ? "bias" : "alone", shape.tokens,
                                  shape.in, shape.out),
                         [=](Ops& ops) { CheckNormLinear(ops, kind, shape, bias); }});
      }
      cases.push_back({CaseName("LinearAdd", name, shape.tokens, shape.in, shape.out),
                       [=](Ops& ops) { CheckLinearAdd(ops, kind, shape); }});
    }
    for (const int64_t tokens : {1, 3, 8}) {
      // A gate of whole tiles, and one that is not.
      for (const auto& [hidden, width] : {std::pair<int64_t, int64_t>{512, 1536}, {2320, 80}}) {
        cases.push_back({CaseName("FusedLayers", name, tokens, hidden, width),
                         [=, hidden = hidden, width = width](Ops& ops) {
                           CheckLayers(ops, kind, tokens, hidden, width);
                         }});
      }
    }
  };
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    add_all({dtype, std::nullopt});
    add_all({dtype, WeightForm::kTensor});
    add_all({dtype, WeightForm::kStaticChannel});
  }
  add_all({DType::kBFloat16, WeightForm::kChannel});  // scaled per token: norms are not fused
  return cases;
}

}  // namespace regatta
