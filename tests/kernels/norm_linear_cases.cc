// Products with the norm in front of them and the addition to the residual behind them, against
// float64; a token's bits alone and in company, and of chains of such products.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/paged_batch.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

constexpr float kEps = 1e-5f;

struct Shape {
  int64_t tokens, in, out;
};

TestWeight MakeWeight(Ops& ops, DType dtype, std::optional<WeightForm> form, int64_t out,
                      int64_t in, Random& random) {
  return form.has_value() ? QuantizedWeight(ops, *form, out, in, random)
                          : NormalWeight(ops, dtype, out, in, random);
}

// Memory for an input of `weight`, plain or in E4M3, NaN until written.
class InputOf {
 public:
  InputOf(Ops& ops, DType dtype, const Weight& weight, int64_t tokens)
      : plain_(ops, dtype, {tokens, weight.in_features}) {
    if (weight.input == ActivationFormat::kPlain) return;
    quantized_ =
        std::make_unique<QuantizedActivation>(ops, weight.input, tokens, weight.in_features);
  }
  // The input of a static weight is scaled as the weight says.
  Activation view() const { return quantized_ ? quantized_->view() : Activation(plain_.tensor()); }
  std::vector<double> Read() const { return quantized_ ? quantized_->Read() : plain_.Read(); }
  // Normal values.
  void Fill(Ops& ops, Random& random) {
    const Tensor& plain = plain_.tensor();
    const DeviceTensor values =
        DeviceTensor::Normal(ops, plain.dtype, {plain.dim(0), plain.dim(1)}, random);
    plain_.Write(values.Read());
    if (quantized_) ops.Quantize(plain_, quantized_->view());
  }

 private:
  DeviceTensor plain_;
  std::unique_ptr<QuantizedActivation> quantized_;
};

// RMSNorm of rows, rounded to what a product multiplies.
std::vector<double> NormedReference(const std::vector<double>& x, const std::vector<double>& weight,
                                    DType dtype, bool is_static) {
  const size_t width = weight.size();
  std::vector<double> normed(x.size());
  const double unit = is_static ? double{kTestInputScale} : 1;
  const DType type = is_static ? DType::kFloat8E4M3 : dtype;
  for (size_t row = 0; row < x.size(); row += width) {
    double squares = 0;
    for (size_t i = row; i < row + width; ++i) squares += x[i] * x[i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + kEps);
    for (size_t i = 0; i < width; ++i) {
      uint32_t bits = 0;
      EncodeElement(x[row + i] * scale * weight[i] / unit, type, &bits);
      normed[row + i] = DecodeElement(&bits, type) * unit;
    }
  }
  return normed;
}

// A sum of products, the sum of their magnitudes and the largest of them.
struct Sum {
  double value = 0, magnitude = 0, largest = 0;

  void Add(double term) {
    value += term;
    magnitude += std::abs(term);
    largest = std::max(largest, std::abs(term));
  }
};

Sum Product(const double* x, const double* weight, int64_t in) {
  Sum sum;
  for (int64_t k = 0; k < in; ++k) sum.Add(x[k] * weight[k]);
  return sum;
}

// What a sum may be off by: float32 sums (Hopper's tensor cores keep about 14 bits of E4M3's), and
// a few inputs that lie between two numbers and were rounded to the other one.
double Slack(const Ops& ops, const Sum& sum, DType dtype, bool quantized, int64_t in) {
  const double inputs = 6 * (quantized ? 0x1p-4 : RoundingOf(dtype)) * sum.largest;
  const double sums =
      quantized && ops.Name() != "cpu" ? 0x1p-11 : 0x1p-23 * std::sqrt(static_cast<double>(in));
  return inputs + sums * sum.magnitude;
}

// Rows of x are wider than what is normed: beyond it there are NaNs.
void CheckNormLinear(Ops& ops, DType dtype, std::optional<WeightForm> form, DType out_dtype,
                     bool with_bias, Shape shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = MakeWeight(ops, dtype, form, shape.out, shape.in, random);
  const DeviceTensor x =
      DeviceTensor::Normal(ops, dtype, {shape.tokens, shape.in}, random, 3, shape.in + 8);
  const DeviceTensor scale = DeviceTensor::Normal(ops, dtype, {shape.in}, random);
  const DeviceTensor bias = DeviceTensor::Normal(ops, out_dtype, {shape.out}, random);
  const InputOf normed(ops, dtype, *weight.weight, shape.tokens);
  const DeviceTensor out(ops, out_dtype, {shape.tokens, shape.out}, shape.out + 3);
  ops.NormLinear(x, {scale, kEps, normed.view()}, *weight.weight,
                 with_bias ? bias.tensor() : Tensor{}, out);
  const std::vector<double> input =
      NormedReference(x.Read(), scale.Read(), dtype, form.has_value());
  const std::vector<double> got = out.Read(), added = bias.Read();
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.out; ++n) {
      const Sum sum = Product(&input[t * shape.in], &weight.values[n * shape.in], shape.in);
      const double want = sum.value + (with_bias ? added[n] : 0);
      const double limit = RoundingOf(out_dtype) * 1.01 * std::abs(want) + 1e-6 +
                           Slack(ops, sum, dtype, form.has_value(), shape.in);
      ASSERT_LE(std::abs(got[t * shape.out + n] - want), limit)
          << "token " << t << " feature " << n << ": " << got[t * shape.out + n];
    }
  }
}

void CheckLinearAdd(Ops& ops, DType dtype, std::optional<WeightForm> form, Shape shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = MakeWeight(ops, dtype, form, shape.out, shape.in, random);
  InputOf x(ops, dtype, *weight.weight, shape.tokens);
  x.Fill(ops, random);
  const DeviceTensor residual =
      DeviceTensor::Normal(ops, dtype, {shape.tokens, shape.out}, random, 4);
  const DeviceTensor delta(ops, dtype, {shape.tokens, shape.out});
  const std::vector<double> before = residual.Read(), input = x.Read();
  ops.LinearAdd(x.view(), *weight.weight, residual, delta);
  const std::vector<double> got = residual.Read();
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (int64_t n = 0; n < shape.out; ++n) {
      const Sum sum = Product(&input[t * shape.in], &weight.values[n * shape.in], shape.in);
      const double want = before[t * shape.out + n] + sum.value;
      const double limit = RoundingOf(dtype) * 1.01 * (std::abs(want) + std::abs(sum.value)) +
                           Slack(ops, sum, dtype, form.has_value(), shape.in) + 1e-6;
      ASSERT_LE(std::abs(got[t * shape.out + n] - want), limit)
          << "token " << t << " feature " << n << ": " << got[t * shape.out + n];
    }
  }
}

// The gate and what it is for, then the way down, added to the residual that was normed.
void CheckAddGatedMlp(Ops& ops, DType dtype, int64_t tokens, int64_t hidden, int64_t width) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight gate_up = NormalWeight(ops, dtype, 2 * width, hidden, random);
  const TestWeight down = NormalWeight(ops, dtype, hidden, width, random);
  const DeviceTensor residual = DeviceTensor::Normal(ops, dtype, {tokens, hidden}, random);
  const DeviceTensor scale = DeviceTensor::Normal(ops, dtype, {hidden}, random);
  const DeviceTensor normed(ops, dtype, {tokens, hidden}), delta(ops, dtype, {tokens, hidden});
  const DeviceTensor between(ops, dtype, {tokens + 3, 2 * width}, 2 * width + 8);
  const DeviceTensor activated(ops, dtype, {tokens + 2, width}, width + 8);
  std::vector<double> want = residual.Read();
  const std::vector<double> input = NormedReference(want, scale.Read(), dtype, false);
  ops.AddGatedMlp(residual, {scale, kEps, normed.tensor()},
                  {gate_up.weight.get(), down.weight.get()}, {between, activated.tensor()}, delta);
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<double> gated;
    for (int64_t f = 0; f < width; ++f) {
      const double* row = &input[t * hidden];
      const double gate = Product(row, &gate_up.values[f * hidden], hidden).value;
      const double up = Product(row, &gate_up.values[(width + f) * hidden], hidden).value;
      gated.push_back(gate / (1 + std::exp(-gate)) * up);
    }
    for (int64_t n = 0; n < hidden; ++n) {
      want[t * hidden + n] += Product(gated.data(), &down.values[n * width], width).value;
    }
  }
  ExpectNear(residual.Read(), want, 2 * RoundingOf(dtype), 8 * RoundingOf(dtype) + 2e-6,
             "AddGatedMlp");
}

struct HeadsShape {
  int num_heads, num_kv_heads, head_dim;
  DType cache_dtype;
  float k_scale = 1, v_scale = 1;
};

// Rotates the head that begins at `head` (Su et al. 2021).
void RotateReference(const double* angles, int dim, double* head) {
  for (int i = 0; i < dim / 2; ++i) {
    const double low = head[i], high = head[i + dim / 2];
    head[i] = low * angles[i] - high * angles[dim / 2 + i];
    head[i + dim / 2] = low * angles[dim / 2 + i] + high * angles[i];
  }
}

// A side of the cache holds columns [first, first + width) of its tokens' rows, and NaN elsewhere.
void ExpectCached(const DeviceTensor& cache, const std::vector<double>& rows, int64_t row_width,
                  int64_t first, const std::vector<int64_t>& slots, double scale, double relative,
                  double absolute) {
  const std::vector<double> got = cache.Read();
  const int64_t width = cache.tensor().dim(2) * cache.tensor().dim(3);
  std::vector<double> want(got.size(), NAN);
  for (size_t t = 0; t < slots.size(); ++t) {
    for (int64_t i = 0; slots[t] >= 0 && i < width; ++i) {
      want[slots[t] * width + i] = rows[static_cast<int64_t>(t) * row_width + first + i] / scale;
    }
  }
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::isnan(got[i]), std::isnan(want[i])) << "element " << i;
    if (std::isnan(want[i])) continue;
    ASSERT_LE(std::abs(got[i] - want[i]), relative * std::abs(want[i]) + absolute / scale)
        << "element " << i << ": " << got[i];
  }
}

// Against the float32 product, rotated in float64; one of the tokens is not cached.
void CheckNormLinearRope(Ops& ops, DType dtype, std::optional<WeightForm> form, bool with_bias,
                         const HeadsShape& shape) {
  constexpr int64_t kIn = 512;
  constexpr int kBlock = 16;
  Random random(TestSeed());
  ReserveForCases(ops);
  const PagedBatch paged(ops, {{40, 1}, {1, 1}, {33, 1}, {50, 17}}, kBlock, random);
  const int tokens = paged.num_tokens(), dim = shape.head_dim;
  std::vector<int64_t> slots;
  for (int t = 0; t < tokens; ++t) {
    slots.push_back(paged.SlotOf(paged.sequence_of()[t], paged.positions()[t]));
  }
  if (ops.Name() != "cpu") slots[1] = -1;  // as recorded steps are padded
  const DeviceArray<int64_t> device_slots(ops, slots);
  AttentionBatch batch = paged.batch();
  batch.kv_slot = device_slots.data();
  const int heads = shape.num_heads + shape.num_kv_heads;  // that are rotated
  const int64_t width = int64_t{heads + shape.num_kv_heads} * dim;
  const TestWeight weight = MakeWeight(ops, dtype, form, width, kIn, random);
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, kIn}, random, 3);
  const DeviceTensor scale = DeviceTensor::Normal(ops, dtype, {kIn}, random);
  const DeviceTensor bias = DeviceTensor::Normal(ops, dtype, {width}, random);
  const DeviceTensor angles = DeviceTensor::Normal(ops, DType::kFloat32, {64, dim}, random, 0.7);
  const InputOf normed(ops, dtype, *weight.weight, tokens);
  const Norm norm = {scale, kEps, normed.view()};
  const DeviceTensor product(ops, DType::kFloat32, {tokens, width});
  ops.NormLinear(x, norm, *weight.weight, Tensor{}, product);
  std::vector<double> want = product.Read();
  const std::vector<double> added = bias.Read(), table = angles.Read();
  for (int t = 0; t < tokens; ++t) {
    for (int64_t i = 0; with_bias && i < width; ++i) want[t * width + i] += added[i];
    for (int h = 0; h < heads; ++h) {
      RotateReference(&table[paged.positions()[t] * dim], dim, &want[t * width + h * dim]);
    }
  }
  const std::vector<int64_t> cache = {paged.num_blocks(), kBlock, shape.num_kv_heads, dim};
  const DeviceTensor k(ops, shape.cache_dtype, cache), v(ops, shape.cache_dtype, cache);
  const DeviceTensor qkv(ops, dtype, {tokens, width});
  const AttentionParams params{.num_heads = shape.num_heads,
                               .num_kv_heads = shape.num_kv_heads,
                               .head_dim = dim,
                               .rope = angles};
  ops.NormLinearRope(x, norm, *weight.weight, with_bias ? bias.tensor() : Tensor{}, qkv, batch,
                     params, {k, v, shape.k_scale, shape.v_scale});
  const std::vector<double> got = qkv.Read();
  const int64_t q_width = int64_t{shape.num_heads} * dim, kv_width = width - int64_t{heads} * dim;
  const double rounding = 1.01 * RoundingOf(dtype), absolute = 16 * RoundingOf(dtype) + 2e-5;
  for (int t = 0; t < tokens; ++t) {
    for (int64_t i = t * width; i < t * width + q_width; ++i) {
      ASSERT_LE(std::abs(got[i] - want[i]), rounding * std::abs(want[i]) + absolute)
          << "token " << t << " element " << i % width << ": " << got[i];
    }
  }
  const double cached = rounding + 1.01 * RoundingOf(shape.cache_dtype);
  const double least = shape.cache_dtype == DType::kFloat8E4M3 ? 0x1p-9 * shape.v_scale : 0;
  ExpectCached(k, want, width, q_width, slots, shape.k_scale, cached, absolute + least);
  ExpectCached(v, want, width, q_width + kv_width, slots, shape.v_scale, cached, absolute + least);
}

// Layers of norm, product, addition and MLP without attention; `after` runs after each operation.
class Chain {
 public:
  Chain(Ops& ops, std::optional<WeightForm> form, int64_t tokens) : ops_(ops) {
    Random random(TestSeed());
    const auto weight = [&](int64_t out, int64_t in) {
      return MakeWeight(ops, kType, form, out, in, random);
    };
    qkv_ = weight(kHidden, kHidden);
    o_ = weight(kHidden, kHidden);
    gate_up_ = weight(2 * kWidth, kHidden);
    down_ = weight(kHidden, kWidth);
    scale_ = std::make_unique<DeviceTensor>(DeviceTensor::Normal(ops, kType, {kHidden}, random));
    start_ = DeviceTensor::Normal(ops, kType, {tokens, kHidden}, random).Read();
  }

  // The residual of the first `tokens` tokens after a few layers.
  std::vector<uint8_t> Bits(int64_t tokens, const std::function<void()>& after) const {
    const auto rows = [&](int64_t width) { return DeviceTensor(ops_, kType, {tokens, width}); };
    DeviceTensor residual = rows(kHidden);
    residual.Write({start_.begin(), start_.begin() + tokens * kHidden});
    const DeviceTensor delta = rows(kHidden), product = rows(kHidden), between = rows(2 * kWidth);
    const InputOf normed(ops_, kType, *qkv_.weight, tokens);
    const InputOf attended(ops_, kType, *o_.weight, tokens);
    const InputOf activated(ops_, kType, *down_.weight, tokens);
    const Norm norm = {*scale_, kEps, normed.view()};
    const bool quantized = o_.weight->input != ActivationFormat::kPlain;
    for (int layer = 0; layer < 6; ++layer) {
      ops_.NormLinear(residual, norm, *qkv_.weight, Tensor{}, product);
      after();
      if (quantized) ops_.Quantize(product, attended.view());
      after();
      ops_.LinearAdd(quantized ? attended.view() : Activation(product.tensor()), *o_.weight,
                     residual, delta);
      after();
      ops_.AddGatedMlp(residual, norm, {gate_up_.weight.get(), down_.weight.get()},
                       {between, activated.view()}, delta);
      after();
    }
    return residual.Bits();
  }

 private:
  static constexpr int64_t kHidden = 512, kWidth = 1536;
  static constexpr DType kType = DType::kBFloat16;

  Ops& ops_;
  TestWeight qkv_, o_, gate_up_, down_;
  std::unique_ptr<DeviceTensor> scale_;
  std::vector<double> start_;
};

// Kernels that begin before the one in front has ended read nothing too early, and write nothing.
void CheckNormChain(Ops& ops, std::optional<WeightForm> form, int64_t tokens) {
  ReserveForCases(ops);
  const Chain chain(ops, form, tokens);
  const std::vector<uint8_t> want = chain.Bits(tokens, [&] {
    std::string error;
    ASSERT_TRUE(ops.Sync(&error)) << error;
  });
  for (int run = 0; run < 4; ++run) ASSERT_EQ(chain.Bits(tokens, [] {}), want) << "run " << run;
}

// Every number of tokens gives each of them the bits that it has among more.
void CheckNormRows(Ops& ops, std::optional<WeightForm> form) {
  constexpr int64_t kTokens = 24;
  ReserveForCases(ops);
  const Chain chain(ops, form, kTokens);
  const std::vector<uint8_t> want = chain.Bits(kTokens, [] {});
  const auto row_bytes = static_cast<int64_t>(want.size()) / kTokens;
  for (const int64_t count : {1, 2, 5, 8, 9, 17}) {
    ASSERT_EQ(chain.Bits(count, [] {}),
              std::vector<uint8_t>(want.begin(), want.begin() + count * row_bytes))
        << count << " tokens";
  }
}

// The shapes of SkinnyCases: depths that blocks share unevenly, features that are no whole units.
constexpr Shape kShapes[] = {{1, 16, 64},    {3, 128, 100},  {8, 1040, 65},   {9, 2320, 192},
                             {16, 4096, 40}, {17, 784, 130}, {32, 1552, 257}, {2, 8208, 8}};

void AddProducts(const std::string& name, DType dtype, std::optional<WeightForm> form,
                 std::vector<OpCase>& cases) {
  for (const Shape& shape : kShapes) {
    for (const bool bias : {false, true}) {
      const DType out = bias ? dtype : DType::kFloat32;
      cases.push_back({CaseName("NormLinear", name, DTypeName(dtype), bias ? "bias" : "to_float32",
                                shape.tokens, shape.in, shape.out),
                       [=](Ops& ops) { CheckNormLinear(ops, dtype, form, out, bias, shape); }});
    }
    cases.push_back(
        {CaseName("LinearAdd", name, DTypeName(dtype), shape.tokens, shape.in, shape.out),
         [=](Ops& ops) { CheckLinearAdd(ops, dtype, form, shape); }});
  }
}

void AddHeads(std::vector<OpCase>& cases) {
  for (const DType dtype : kActivationTypes) {
    for (const HeadsShape& shape : {HeadsShape{4, 2, 64, dtype},
                                    {3, 1, 128, dtype},
                                    {4, 4, 32, dtype},  // no whole units: one after another
                                    {8, 2, 128, DType::kFloat8E4M3, 0.04f, 0.05f}}) {
      for (const bool bias : {false, true}) {
        const auto add = [&](const std::string& name, std::optional<WeightForm> form) {
          cases.push_back(
              {CaseName("NormLinearRope", name, DTypeName(dtype), shape.num_heads, shape.head_dim,
                        DTypeName(shape.cache_dtype), bias ? "bias" : "plain"),
               [=](Ops& ops) { CheckNormLinearRope(ops, dtype, form, bias, shape); }});
        };
        add("plain", std::nullopt);
        if (dtype == DType::kBFloat16) add("tensor", WeightForm::kTensor);
      }
    }
  }
}

}  // namespace

std::vector<OpCase> NormLinearCases() {
  std::vector<OpCase> cases;
  for (const DType dtype : kActivationTypes) {
    AddProducts("plain", dtype, std::nullopt, cases);
    for (const int64_t tokens : {1, 5, 8, 17, 33}) {
      for (const auto& [hidden, width] : {std::pair<int64_t, int64_t>{64, 160}, {48, 80}}) {
        cases.push_back({CaseName("AddGatedMlp", DTypeName(dtype), tokens, hidden, width),
                         [=, hidden = hidden, width = width](Ops& ops) {
                           CheckAddGatedMlp(ops, dtype, tokens, hidden, width);
                         }});
      }
    }
  }
  AddHeads(cases);
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    AddProducts(FormName(WeightForm::kTensor), dtype, WeightForm::kTensor, cases);
  }
  const auto add_chains = [&](const std::string& name, std::optional<WeightForm> form) {
    for (const int64_t tokens : {1, 5, 16, 32}) {
      cases.push_back({CaseName("NormChain", name, tokens),
                       [=](Ops& ops) { CheckNormChain(ops, form, tokens); }});
    }
    cases.push_back({CaseName("NormRows", name), [=](Ops& ops) { CheckNormRows(ops, form); }});
  };
  add_chains("plain", std::nullopt);
  for (const WeightForm form : {WeightForm::kTensor, WeightForm::kChannel}) {
    add_chains(FormName(form), form);
  }
  return cases;
}

}  // namespace regatta
