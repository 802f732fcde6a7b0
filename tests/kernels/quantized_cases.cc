// Quantisation and quantised products against float64: every form of scales, and shapes that fill
// no block.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

void CheckQuantize(Ops& ops, DType dtype, ActivationFormat format, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, width}, random, 3, width + 8);
  const QuantizedActivation out(ops, format, tokens, width);
  ops.Quantize(x, out);
  ExpectQuantized(out, format, width, x.Read(), "Quantize");
}

// The plain operation, rounded to float32 only, is what the quantised one stands for.
void CheckProducers(Ops& ops, DType dtype, ActivationFormat format, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, width}, random, 2);
  const DeviceTensor weight = DeviceTensor::Normal(ops, dtype, {width}, random);
  const DeviceTensor residual = DeviceTensor::Normal(ops, dtype, {tokens, width}, random);
  const DeviceTensor gate_up = DeviceTensor::Normal(ops, dtype, {tokens, 2 * width}, random, 2);
  const QuantizedActivation normed(ops, format, tokens, width);
  const QuantizedActivation summed(ops, format, tokens, width);
  const QuantizedActivation gated(ops, format, tokens, width);
  ops.RmsNorm(x, weight, 1e-5f, normed);
  ops.SiluMul(gate_up, gated);
  ops.AddRmsNorm(residual, x, weight, 1e-5f, summed);

  const std::vector<double> scale = weight.Read();
  const auto norm = [&](std::vector<double> rows) {
    for (int64_t t = 0; t < tokens; ++t) {
      double squares = 0;
      for (int64_t i = 0; i < width; ++i) squares += std::pow(rows[t * width + i], 2);
      const double inverse = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5f);
      for (int64_t i = 0; i < width; ++i) rows[t * width + i] *= inverse * scale[i];
    }
    return rows;
  };
  ExpectQuantized(normed, format, width, norm(x.Read()), "RmsNorm");
  ExpectQuantized(summed, format, width, norm(residual.Read()), "AddRmsNorm");
  const std::vector<double> gates = gate_up.Read();
  std::vector<double> want;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      const double gate = gates[t * 2 * width + i];
      want.push_back(gate / (1 + std::exp(-gate)) * gates[t * 2 * width + width + i]);
    }
  }
  ExpectQuantized(gated, format, width, want, "SiluMul");
}

// A row of zeros has a finite scale and stays zero.
void CheckZeros(Ops& ops, ActivationFormat format) {
  const int64_t width = 200;
  DeviceTensor x(ops, DType::kBFloat16, {2, width});
  x.Write(std::vector<double>(2 * width, 0));
  const QuantizedActivation out(ops, format, 2, width);
  ops.Quantize(x, out);
  EXPECT_EQ(out.Read(), std::vector<double>(2 * width, 0));
}

struct ProductShape {
  int64_t tokens, in, out;
};

// What one product may lose: the CPU sums exact products in float32; Hopper's tensor cores keep
// about 14 bits of a sum of E4M3 products between additions in float32.
double SumRounding(const Ops& ops, int64_t in) {
  return ops.Name() == "cpu" ? 0x1p-23 * std::sqrt(static_cast<double>(in)) : 0x1p-11;
}

void CheckQuantizedLinear(Ops& ops, WeightForm form, DType out_dtype, bool with_bias,
                          ProductShape shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = QuantizedWeight(ops, form, shape.out, shape.in, random);
  const DeviceTensor plain =
      DeviceTensor::Normal(ops, DType::kBFloat16, {shape.tokens, shape.in}, random);
  const DeviceTensor bias = DeviceTensor::Normal(ops, out_dtype, {shape.out}, random);
  const QuantizedActivation x(ops, weight.weight->input, shape.tokens, shape.in);
  ops.Quantize(plain, x);
  const int64_t rows = (shape.tokens + kGroupRows - 1) / kGroupRows * kGroupRows;
  const DeviceTensor out(ops, out_dtype, {rows, shape.out});
  ops.Linear(x, *weight.weight, with_bias ? bias.tensor() : Tensor{},
             out.tensor().Rows(0, shape.tokens));

  const std::vector<double> values = x.Read();
  const std::vector<double> got = out.Read();
  const std::vector<double> added = bias.Read();
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.out; ++n) {
      double sum = with_bias ? added[n] : 0;
      double magnitude = std::abs(sum);
      for (int64_t k = 0; k < shape.in; ++k) {
        const double term = values[t * shape.in + k] * weight.values[n * shape.in + k];
        sum += term;
        magnitude += std::abs(term);
      }
      const double limit =
          RoundingOf(out_dtype) * 1.01 * std::abs(sum) + SumRounding(ops, shape.in) * magnitude;
      ASSERT_LE(std::abs(got[t * shape.out + n] - sum), limit)
          << "token " << t << " feature " << n << ": " << got[t * shape.out + n];
    }
  }
}

// The whole of an MLP: the gate's output is quantised for the second product.
void CheckQuantizedMlp(Ops& ops, WeightForm form, int64_t tokens) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const int64_t hidden = 128, width = 256;
  const TestWeight gate_up = QuantizedWeight(ops, form, 2 * width, hidden, random);
  const TestWeight down = QuantizedWeight(ops, form, hidden, width, random);
  const DeviceTensor plain =
      DeviceTensor::Normal(ops, DType::kBFloat16, {tokens, hidden}, random, 0.5);
  const QuantizedActivation x(ops, gate_up.weight->input, tokens, hidden);
  ops.Quantize(plain, x);
  const int64_t rows = (tokens + kGroupRows - 1) / kGroupRows * kGroupRows;
  const DeviceTensor between(ops, DType::kBFloat16, {rows, 2 * width});
  const QuantizedActivation activated(ops, down.weight->input, tokens, width);
  const DeviceTensor out(ops, DType::kBFloat16, {rows, hidden});
  ops.GatedProduct(x, *gate_up.weight, between.tensor().Rows(0, tokens), activated);
  ops.Linear(activated, *down.weight, Tensor{}, out.tensor().Rows(0, tokens));
  const std::vector<double> between_values = activated.Read();
  const std::vector<double> got = out.Read();
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t n = 0; n < hidden; ++n) {
      double sum = 0, magnitude = 0;
      for (int64_t k = 0; k < width; ++k) {
        const double term = between_values[t * width + k] * down.values[n * width + k];
        sum += term;
        magnitude += std::abs(term);
      }
      const double limit =
          RoundingOf(DType::kBFloat16) * std::abs(sum) * 1.01 + SumRounding(ops, width) * magnitude;
      ASSERT_LE(std::abs(got[t * hidden + n] - sum), limit) << "token " << t << " feature " << n;
    }
  }
}

}  // namespace

std::vector<OpCase> QuantizedCases() {
  std::vector<OpCase> cases;
  for (const ActivationFormat format : kQuantizedFormats) {
    for (const DType dtype : kActivationTypes) {
      for (const auto& [tokens, width] : {std::pair<int64_t, int64_t>{1, 64},
                                          {3, 250},
                                          {17, 128},
                                          {5, 1288},
                                          {129, 384},
                                          {9, 2320},
                                          {258, 1288}}) {
        const std::string suffix = CaseName(FormatName(format), DTypeName(dtype), tokens, width);
        cases.push_back({CaseName("Quantize", suffix), [=, t = tokens, w = width](Ops& ops) {
                           CheckQuantize(ops, dtype, format, t, w);
                         }});
        cases.push_back({CaseName("Producers", suffix), [=, t = tokens, w = width](Ops& ops) {
                           CheckProducers(ops, dtype, format, t, w);
                         }});
      }
    }
    cases.push_back({CaseName("QuantizeZeros", FormatName(format)),
                     [=](Ops& ops) { CheckZeros(ops, format); }});
  }
  const ProductShape shapes[] = {{1, 128, 256},   {4, 256, 128},   {3, 384, 384},
                                 {17, 1280, 256}, {129, 128, 640}, {300, 512, 128},
                                 {2, 33, 129},    {5, 200, 72},    {64, 1296, 1040}};
  for (const WeightForm form : kWeightForms) {
    for (const ProductShape& shape : shapes) {
      for (const DType out : kActivationTypes) {
        for (const bool bias : {false, true}) {
          cases.push_back({CaseName("QuantizedLinear", FormName(form), "to", DTypeName(out),
                                    bias ? "bias" : "plain", shape.tokens, shape.in, shape.out),
                           [=](Ops& ops) { CheckQuantizedLinear(ops, form, out, bias, shape); }});
        }
      }
    }
    for (const int64_t tokens : {1, 3, 130}) {
      cases.push_back({CaseName("QuantizedMlp", FormName(form), tokens),
                       [=](Ops& ops) { CheckQuantizedMlp(ops, form, tokens); }});
    }
  }
  return cases;
}

}  // namespace regatta
