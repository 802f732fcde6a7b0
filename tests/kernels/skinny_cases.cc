// Products of few tokens whose rows begin at multiples of 16 bytes, against float64, and a token's
// bits alone and in company; chains of MLPs, of more tokens too.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

struct Shape {
  int64_t tokens, in, out;
};

// A weight and tokens in the form that it takes; kPlain has no scales.
struct Operands {
  TestWeight weight;
  std::unique_ptr<DeviceTensor> plain;
  std::unique_ptr<QuantizedActivation> quantized;

  Activation x() const { return quantized ? quantized->view() : Activation(plain->tensor()); }
  std::vector<double> Read() const { return quantized ? quantized->Read() : plain->Read(); }
};

// Rows of `x` are wider than what is multiplied: beyond it there are NaNs.
Operands MakeOperands(Ops& ops, DType dtype, std::optional<WeightForm> form, const Shape& shape,
                      Random& random) {
  Operands operands;
  operands.weight = form.has_value() ? QuantizedWeight(ops, *form, shape.out, shape.in, random)
                                     : NormalWeight(ops, dtype, shape.out, shape.in, random);
  operands.plain = std::make_unique<DeviceTensor>(
      DeviceTensor::Normal(ops, dtype, {shape.tokens, shape.in}, random, 1, shape.in + 8));
  if (form.has_value()) {
    operands.quantized = std::make_unique<QuantizedActivation>(ops, operands.weight.weight->input,
                                                               shape.tokens, shape.in);
    ops.Quantize(*operands.plain, operands.quantized->view());
  }
  return operands;
}

// What a product of so many terms may lose, of the sum of their magnitudes: Hopper's tensor cores
// keep about 14 bits of a sum of E4M3 products between additions in float32.
double SumRounding(const Ops& ops, bool quantized, int64_t in) {
  if (quantized && ops.Name() != "cpu") return 0x1p-11;
  return 0x1p-23 * std::sqrt(static_cast<double>(in));
}

void CheckSkinny(Ops& ops, DType dtype, std::optional<WeightForm> form, DType out_dtype,
                 DType bias_dtype, Shape shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const Operands operands = MakeOperands(ops, dtype, form, shape, random);
  const DeviceTensor bias = DeviceTensor::Normal(ops, bias_dtype, {shape.out}, random);
  const bool with_bias = bias_dtype != DType::kInt32;
  const DeviceTensor out(ops, out_dtype, {shape.tokens, shape.out}, shape.out + 3);
  ops.Linear(operands.x(), *operands.weight.weight, with_bias ? bias.tensor() : Tensor{}, out);
  const std::vector<double> x = operands.Read(), got = out.Read();
  const std::vector<double> added = with_bias ? bias.Read() : std::vector<double>(shape.out, 0);
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.out; ++n) {
      double sum = added[n], magnitude = std::abs(added[n]);
      for (int64_t k = 0; k < shape.in; ++k) {
        const double term = x[t * shape.in + k] * operands.weight.values[n * shape.in + k];
        sum += term;
        magnitude += std::abs(term);
      }
      const double limit = RoundingOf(out_dtype) * 1.01 * std::abs(sum) +
                           SumRounding(ops, form.has_value(), shape.in) * magnitude;
      ASSERT_LE(std::abs(got[t * shape.out + n] - sum), limit)
          << "token " << t << " feature " << n << ": " << got[t * shape.out + n];
    }
  }
}

// Every number of tokens gives each of them the bits that it has among 32.
void CheckSkinnyRows(Ops& ops, DType dtype, std::optional<WeightForm> form, int64_t in,
                     int64_t out) {
  constexpr int64_t kTokens = 32;
  Random random(TestSeed());
  ReserveForCases(ops);
  const Operands operands = MakeOperands(ops, dtype, form, {kTokens, in, out}, random);
  const DeviceTensor together(ops, DType::kFloat32, {kTokens, out});
  const Activation x = operands.x();
  ops.Linear(x, *operands.weight.weight, Tensor{}, together);
  const std::vector<uint8_t> want = together.Bits();
  const auto row_bytes = static_cast<int64_t>(want.size()) / kTokens;
  for (const int64_t count : {1, 2, 7, 8, 9, 16, 17, 31}) {
    const DeviceTensor apart(ops, DType::kFloat32, {count, out});
    ops.Linear(x.FirstRows(count), *operands.weight.weight, Tensor{}, apart);
    ASSERT_EQ(apart.Bits(), std::vector<uint8_t>(want.begin(), want.begin() + count * row_bytes))
        << count << " tokens";
  }
}

// The bits of an MLP whose output is its next input, over and over; `after` runs after each
// operation.
std::vector<uint8_t> ChainBits(Ops& ops, std::optional<WeightForm> form, int64_t tokens,
                               const std::function<void()>& after) {
  constexpr int64_t kHidden = 512, kWidth = 1536;
  constexpr int kRounds = 24;
  Random random(TestSeed());
  const Shape up = {tokens, kHidden, 2 * kWidth}, down = {tokens, kWidth, kHidden};
  const Operands first = MakeOperands(ops, DType::kBFloat16, form, up, random);
  const Operands second = MakeOperands(ops, DType::kBFloat16, form, down, random);
  const DeviceTensor residual =
      DeviceTensor::Normal(ops, DType::kBFloat16, {tokens, kHidden}, random);
  const DeviceTensor norm = DeviceTensor::Normal(ops, DType::kBFloat16, {kHidden}, random);
  const DeviceTensor between(ops, DType::kBFloat16, {tokens, 2 * kWidth});
  const DeviceTensor delta(ops, DType::kBFloat16, {tokens, kHidden});
  for (int round = 0; round < kRounds; ++round) {
    if (round % 2 == 0) {
      ops.Linear(first.x(), *first.weight.weight, Tensor{}, between);
      after();
      ops.SiluMul(between, second.x());
    } else {
      ops.GatedProduct(first.x(), *first.weight.weight, between, second.x());
    }
    after();
    ops.Linear(second.x(), *second.weight.weight, Tensor{}, delta);
    after();
    ops.AddRmsNorm(residual, delta, norm, 1e-5f, first.x());
    after();
  }
  return residual.Bits();
}

// Kernels that begin before the one in front has ended read nothing too early, and write nothing.
void CheckMlpChain(Ops& ops, std::optional<WeightForm> form, int64_t tokens) {
  ReserveForCases(ops);
  const std::vector<uint8_t> want = ChainBits(ops, form, tokens, [&] {
    std::string error;
    ASSERT_TRUE(ops.Sync(&error)) << error;
  });
  for (int run = 0; run < 4; ++run) {
    ASSERT_EQ(ChainBits(ops, form, tokens, [] {}), want) << "run " << run;
  }
}

}  // namespace

std::vector<OpCase> SkinnyCases() {
  std::vector<OpCase> cases;
  const auto add_all = [&](const std::string& name, DType dtype, std::optional<WeightForm> form) {
    // Depths of less than a step of the kernel, of steps that the blocks of a cluster share
    // unevenly, and units of features that are not whole.
    const Shape shapes[] = {{1, 16, 64},    {3, 128, 100},  {8, 1040, 65},   {9, 2320, 192},
                            {16, 4096, 40}, {17, 784, 130}, {32, 1552, 257}, {2, 8208, 8}};
    for (const Shape& shape : shapes) {
      // No bias where its dtype is none of activations.
      for (const auto& [out, bias] : {std::pair{DType::kFloat32, DType::kInt32},
                                      {DType::kFloat32, DType::kBFloat16},
                                      {DType::kBFloat16, DType::kBFloat16}}) {
        cases.push_back({CaseName("Skinny", name, "to", DTypeName(out), "bias", DTypeName(bias),
                                  shape.tokens, shape.in, shape.out),
                         [=, out = out, bias = bias](Ops& ops) {
                           CheckSkinny(ops, dtype, form, out, bias, shape);
                         }});
      }
    }
    for (const auto& [in, out] : {std::pair<int64_t, int64_t>{1024, 96}, {2064, 300}, {48, 64}}) {
      cases.push_back({CaseName("SkinnyRows", name, in, out), [=, in = in, out = out](Ops& ops) {
                         CheckSkinnyRows(ops, dtype, form, in, out);
                       }});
    }
  };
  for (const int64_t tokens : {1, 5, 16, 32, 200}) {
    cases.push_back({CaseName("MlpChain_bfloat16", tokens),
                     [=](Ops& ops) { CheckMlpChain(ops, std::nullopt, tokens); }});
    for (const WeightForm form : {WeightForm::kTensor, WeightForm::kChannel}) {
      cases.push_back({CaseName("MlpChain", FormName(form), tokens),
                       [=](Ops& ops) { CheckMlpChain(ops, form, tokens); }});
    }
  }
  add_all("bfloat16", DType::kBFloat16, std::nullopt);
  add_all("float16", DType::kFloat16, std::nullopt);
  for (const WeightForm form : {WeightForm::kTensor, WeightForm::kChannel, WeightForm::kOnline}) {
    add_all(FormName(form), DType::kBFloat16, form);
  }
  return cases;
}

}  // namespace regatta
