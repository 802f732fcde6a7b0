// Products against float64, within the rounding error of their own terms.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"

namespace regatta {
namespace {

struct LinearShape {
  int64_t tokens;
  int64_t in;
  int64_t out;
};

// A product and, per element, the sum of magnitudes that bounds its rounding error.
struct ProductReference {
  std::vector<double> values;
  std::vector<double> magnitudes;
};

ProductReference Multiply(const std::vector<double>& x, const std::vector<double>& w,
                          const std::vector<double>& bias, const LinearShape& shape) {
  ProductReference reference;
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.out; ++n) {
      double sum = bias.empty() ? 0 : bias[n];
      double magnitude = std::abs(sum);
      for (int64_t k = 0; k < shape.in; ++k) {
        const double term = x[t * shape.in + k] * w[n * shape.in + k];
        sum += term;
        magnitude += std::abs(term);
      }
      reference.values.push_back(sum);
      reference.magnitudes.push_back(magnitude);
    }
  }
  return reference;
}

// x and out are column slices; `out_dtype` is float32 for heads that give logits.
void CheckLinear(Ops& ops, DType dtype, DType out_dtype, bool with_bias, LinearShape shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = NormalWeight(ops, dtype, shape.out, shape.in, random);
  ReserveForCases(ops);  // the order of Prepare and Reserve does not matter
  const DeviceTensor x =
      DeviceTensor::Normal(ops, dtype, {shape.tokens, shape.in}, random, 1, shape.in + 7);
  const DeviceTensor bias = DeviceTensor::Normal(ops, dtype, {shape.out}, random);
  const DeviceTensor out(ops, out_dtype, {shape.tokens, shape.out}, shape.out + 9);
  ops.Linear(x, *weight.weight, with_bias ? bias.tensor() : Tensor{}, out);
  const ProductReference want =
      Multiply(x.Read(), weight.values, with_bias ? bias.Read() : std::vector<double>{}, shape);
  const std::vector<double> got = out.Read();
  for (size_t i = 0; i < got.size(); ++i) {
    const double limit = RoundingOf(out_dtype) * 1.01 * std::abs(want.values[i]) +
                         0x1p-24 * std::sqrt(shape.in) * 2 * want.magnitudes[i];
    ASSERT_LE(std::abs(got[i] - want.values[i]), limit) << "element " << i << ": " << got[i];
  }
}

}  // namespace

std::vector<OpCase> LinearCases() {
  std::vector<OpCase> cases;
  const LinearShape shapes[] = {{1, 64, 96}, {3, 33, 129},   {17, 192, 8},    {129, 80, 257},
                                {2, 1, 1},   {97, 1300, 64}, {300, 256, 100}, {64, 128, 1025}};
  const auto add = [&](DType dtype, DType out_dtype) {
    for (const bool bias : {false, true}) {
      for (const LinearShape& shape : shapes) {
        cases.push_back({CaseName("Linear", DTypeName(dtype), "to", DTypeName(out_dtype),
                                  bias ? "bias" : "plain", shape.tokens, shape.in, shape.out),
                         [=](Ops& ops) { CheckLinear(ops, dtype, out_dtype, bias, shape); }});
      }
    }
  };
  for (const DType dtype : kActivationTypes) add(dtype, dtype);
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) add(dtype, DType::kFloat32);
  return cases;
}

}  // namespace regatta
