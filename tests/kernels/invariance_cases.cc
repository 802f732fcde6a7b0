// Bitwise promises: rows alone and in batches, prompts whole and in chunks.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/paged_batch.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

// Bytes of rows [begin, begin + count) of a dense matrix's bits.
std::vector<uint8_t> RowBits(const DeviceTensor& x, int64_t begin, int64_t count) {
  const std::vector<uint8_t> bits = x.Bits();
  const int64_t row = bits.size() / x.tensor().dim(0);
  return {bits.begin() + begin * row, bits.begin() + (begin + count) * row};
}

// Memory of so many rows, and of those that a product by groups may write behind them.
DeviceTensor OutputRows(Ops& ops, DType dtype, int64_t rows, int64_t width) {
  return DeviceTensor(ops, dtype, {(rows + kGroupRows - 1) / kGroupRows * kGroupRows, width});
}

// Computes 300 rows at once, then runs of them in smaller batches, and compares every byte.
void ExpectRowsAlike(Ops& ops, DType dtype, int64_t width,
                     const std::function<void(const Tensor& x, const Tensor& out)>& compute,
                     int64_t out_width, Random& random) {
  constexpr int64_t kRows = 300;
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {kRows, width}, random);
  const DeviceTensor together = OutputRows(ops, dtype, kRows, out_width);
  compute(x, together.tensor().Rows(0, kRows));
  for (const int64_t batch : {1, 2, 3, 5, 7, 8, 64, 97, 299}) {
    for (const int64_t first : {int64_t{0}, int64_t{1}, kRows - batch}) {
      const DeviceTensor apart = OutputRows(ops, dtype, batch, out_width);
      compute(x.tensor().Rows(first, batch), apart.tensor().Rows(0, batch));
      ASSERT_EQ(RowBits(apart, 0, batch), RowBits(together, first, batch))
          << batch << " rows from row " << first;
    }
  }
}

void CheckLinearRows(Ops& ops, DType dtype, int64_t in, int64_t out) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = NormalWeight(ops, dtype, out, in, random);
  const DeviceTensor bias = DeviceTensor::Normal(ops, dtype, {out}, random);
  const auto linear = [&](const Tensor& x, const Tensor& y) {
    ops.Linear(x, *weight.weight, bias, y);
  };
  ExpectRowsAlike(ops, dtype, in, linear, out, random);
}

void CheckQuantizedLinearRows(Ops& ops, WeightForm form, int64_t in, int64_t out) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight weight = QuantizedWeight(ops, form, out, in, random);
  const auto linear = [&](const Tensor& x, const Tensor& y) {
    const QuantizedActivation quantized(ops, weight.weight->input, x.dim(0), in);
    ops.Quantize(x, quantized);
    ops.Linear(quantized, *weight.weight, Tensor{}, y);
  };
  ExpectRowsAlike(ops, DType::kBFloat16, in, linear, out, random);
}

void CheckElementwiseRows(Ops& ops, DType dtype) {
  Random random(TestSeed());
  const int64_t width = 250;
  const DeviceTensor weight = DeviceTensor::Normal(ops, dtype, {width}, random);
  const auto norm = [&](const Tensor& x, const Tensor& y) { ops.RmsNorm(x, weight, 1e-5f, y); };
  ExpectRowsAlike(ops, dtype, width, norm, width, random);
  const auto silu = [&](const Tensor& x, const Tensor& y) { ops.SiluMul(x, y); };
  ExpectRowsAlike(ops, dtype, 2 * width, silu, width, random);
}

MoeParams SmallMoe() {
  return {.num_experts = 8, .experts_per_token = 2, .first_expert = 0, .num_local = 8};
}

// Router, choice and experts of a layer of 8 experts of width 64.
class MoeLayer {
 public:
  MoeLayer(Ops& ops, DType dtype, int64_t hidden, Random& random) : ops_(ops) {
    const auto add = [&](int64_t out, int64_t in) {
      kept_.push_back(NormalWeight(ops, dtype, out, in, random, WeightUse::kExpert));
      return kept_.back().weight.get();
    };
    weights_.router = add(8, hidden);
    for (int e = 0; e < 8; ++e) {
      const Weight* gate_up = add(128, hidden);
      weights_.experts.push_back({gate_up, add(hidden, 64)});
    }
  }
  void Run(const Tensor& x, const Tensor& out) const {
    const int64_t tokens = x.dim(0);
    const DeviceTensor logits(ops_, DType::kFloat32, {tokens, 8});
    const DeviceTensor ids(ops_, DType::kInt32, {tokens, 2});
    const DeviceTensor weights(ops_, DType::kFloat32, {tokens, 2});
    ops_.Linear(x, *weights_.router, Tensor{}, logits);
    ops_.MoeRoute(logits, SmallMoe(), ids, weights);
    ops_.MoeExperts(x, ids, weights, SmallMoe(), weights_, out);
  }

 private:
  Ops& ops_;
  std::vector<TestWeight> kept_;
  MoeWeights weights_;
};

void CheckMoeRows(Ops& ops, DType dtype) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const MoeLayer layer(ops, dtype, 96, random);
  const auto run = [&](const Tensor& x, const Tensor& y) { layer.Run(x, y); };
  ExpectRowsAlike(ops, dtype, 96, run, 96, random);
}

struct AttentionSizes {
  int heads;
  int kv_heads;
  int dim;
  int window;
};

// One sequence's prompt attended in steps: `cuts` are the lengths of its chunks, `others` share
// each step.
std::vector<uint8_t> AttendInChunks(Ops& ops, DType dtype, const AttentionSizes& sizes,
                                    const std::vector<int>& cuts,
                                    const std::vector<SequenceShape>& others, int block_size) {
  Random random(TestSeed());
  int total = 0;
  for (const int cut : cuts) total += cut;
  const int q_width = sizes.heads * sizes.dim;
  const int kv_width = sizes.kv_heads * sizes.dim;
  const DeviceTensor q = DeviceTensor::Normal(ops, dtype, {total, q_width}, random);
  const DeviceTensor k = DeviceTensor::Normal(ops, dtype, {total, kv_width}, random);
  const DeviceTensor v = DeviceTensor::Normal(ops, dtype, {total, kv_width}, random);
  const std::vector<double> keys = k.Read(), values = v.Read(), queries = q.Read();
  std::vector<uint8_t> result;
  int done = 0;
  for (const int cut : cuts) {
    std::vector<SequenceShape> sequences = {{done + cut, cut}};
    sequences.insert(sequences.begin(), others.begin(), others.end());
    const int own = static_cast<int>(others.size());
    const PagedBatch paged(ops, sequences, block_size, random);
    const std::vector<int64_t> shape = {paged.num_blocks(), block_size, sizes.kv_heads, sizes.dim};
    std::vector<double> cache_k, cache_v;
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < shape[0] * block_size * kv_width; ++i) {
      cache_k.push_back(normal(random));
      cache_v.push_back(normal(random));
    }
    for (int p = 0; p < done + cut; ++p) {
      const int64_t to = paged.SlotOf(own, p) * kv_width;
      std::copy_n(keys.begin() + int64_t{p} * kv_width, kv_width, cache_k.begin() + to);
      std::copy_n(values.begin() + int64_t{p} * kv_width, kv_width, cache_v.begin() + to);
    }
    DeviceTensor device_k(ops, dtype, shape), device_v(ops, dtype, shape);
    device_k.Write(cache_k);
    device_v.Write(cache_v);
    std::vector<double> step_queries(int64_t{paged.num_tokens()} * q_width);
    for (double& x : step_queries) x = normal(random);
    std::copy_n(queries.begin() + int64_t{done} * q_width, int64_t{cut} * q_width,
                step_queries.end() - int64_t{cut} * q_width);
    DeviceTensor step_q(ops, dtype, {paged.num_tokens(), q_width});
    step_q.Write(step_queries);
    const DeviceTensor out(ops, dtype, {paged.num_tokens(), q_width});
    const AttentionParams params{.num_heads = sizes.heads,
                                 .num_kv_heads = sizes.kv_heads,
                                 .head_dim = sizes.dim,
                                 .scale = 1 / std::sqrt(static_cast<float>(sizes.dim)),
                                 .sliding_window = sizes.window};
    ops.PagedAttention(step_q, paged.batch(), params, {device_k, device_v}, out);
    const std::vector<uint8_t> bits = RowBits(out, paged.num_tokens() - cut, cut);
    result.insert(result.end(), bits.begin(), bits.end());
    done += cut;
  }
  return result;
}

void CheckAttentionChunks(Ops& ops, DType dtype, const AttentionSizes& sizes) {
  ReserveForCases(ops);
  const std::vector<SequenceShape> company = {{90, 1}, {31, 31}, {5, 2}};
  const std::vector<uint8_t> whole = AttendInChunks(ops, dtype, sizes, {150}, {}, 16);
  EXPECT_EQ(AttendInChunks(ops, dtype, sizes, {150}, company, 16), whole) << "company";
  EXPECT_EQ(AttendInChunks(ops, dtype, sizes, {150}, {}, 1), whole) << "block size";
  EXPECT_EQ(AttendInChunks(ops, dtype, sizes, {1, 7, 64, 78}, {}, 16), whole) << "chunks";
  EXPECT_EQ(AttendInChunks(ops, dtype, sizes, {64, 64, 22}, company, 32), whole) << "all three";
  EXPECT_EQ(AttendInChunks(ops, dtype, sizes, {60, 1, 1, 1, 1, 1, 1, 1, 83}, {}, 16), whole)
      << "token by token";
}

}  // namespace

std::vector<uint8_t> LayerBits(Ops& ops, DType dtype) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const int64_t hidden = 96, width = 160;
  const MoeLayer moe(ops, dtype, hidden, random);
  const TestWeight qkv = NormalWeight(ops, dtype, 8 * 64, hidden, random);
  const TestWeight o = NormalWeight(ops, dtype, hidden, 4 * 64, random);
  const TestWeight gate_up = NormalWeight(ops, dtype, 2 * width, hidden, random);
  const TestWeight down = NormalWeight(ops, dtype, hidden, width, random);
  const DeviceTensor norm = DeviceTensor::Normal(ops, dtype, {hidden}, random);
  const PagedBatch paged(ops, {{130, 130}, {1, 1}, {60, 60}, {3, 3}, {100, 100}}, 16, random);
  const int tokens = paged.num_tokens();
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, hidden}, random);
  const DeviceTensor normed(ops, dtype, {tokens, hidden});
  const DeviceTensor projected(ops, dtype, {tokens, 8 * 64});
  const DeviceTensor attended(ops, dtype, {tokens, 4 * 64});
  const DeviceTensor delta(ops, dtype, {tokens, hidden});
  const DeviceTensor between(ops, dtype, {tokens, 2 * width});
  const DeviceTensor activated(ops, dtype, {tokens, width});
  const DeviceTensor out(ops, dtype, {tokens, hidden});
  const DeviceTensor angles = DeviceTensor::Normal(ops, DType::kFloat32, {256, 64}, random);
  const DeviceTensor cache_k(ops, dtype, {paged.num_blocks(), 16, 2, 64});
  const DeviceTensor cache_v(ops, dtype, {paged.num_blocks(), 16, 2, 64});
  const AttentionParams params{
      .num_heads = 4, .num_kv_heads = 2, .head_dim = 64, .scale = 0.125f, .rope = angles};
  ops.RmsNorm(x, norm, 1e-5f, normed);
  ops.Linear(normed, *qkv.weight, Tensor{}, projected);
  const Tensor& all = projected.tensor();
  ops.Attention(all.Columns(0, 256), all.Columns(256, 128), all.Columns(384, 128), paged.batch(),
                params, {cache_k, cache_v}, attended);
  OneRank alone;
  ops.LinearReduceAddNorm(attended, *o.weight, alone, x, delta, norm, 1e-5f, normed);
  ops.GatedProduct(normed, *gate_up.weight, between, activated);
  ops.LinearReduceAddNorm(activated, *down.weight, alone, x, delta, norm, 1e-5f, normed);
  moe.Run(normed, out);
  return out.Bits();
}

std::vector<OpCase> InvarianceCases() {
  std::vector<OpCase> cases;
  for (const DType dtype : kActivationTypes) {
    const std::string type = DTypeName(dtype);
    for (const auto& [in, out] : std::vector<std::pair<int64_t, int64_t>>{
             {128, 192}, {192, 256}, {256, 768}, {256, 8}, {512, 256}, {1100, 33}}) {
      cases.push_back({CaseName("LinearRows", type, in, out), [=, in = in, out = out](Ops& ops) {
                         CheckLinearRows(ops, dtype, in, out);
                       }});
    }
    cases.push_back(
        {CaseName("ElementwiseRows", type), [=](Ops& ops) { CheckElementwiseRows(ops, dtype); }});
    cases.push_back({CaseName("MoeRows", type), [=](Ops& ops) { CheckMoeRows(ops, dtype); }});
    for (const AttentionSizes& sizes :
         {AttentionSizes{4, 2, 64, 0}, AttentionSizes{8, 1, 80, 0}, AttentionSizes{4, 4, 64, 40}}) {
      cases.push_back({CaseName("AttentionChunks", type, sizes.heads, sizes.kv_heads, sizes.dim,
                                "window", sizes.window),
                       [=](Ops& ops) { CheckAttentionChunks(ops, dtype, sizes); }});
    }
  }
  for (const WeightForm form : kWeightForms) {
    for (const auto& [in, out] :
         std::vector<std::pair<int64_t, int64_t>>{{128, 192}, {1024, 128}, {200, 72}}) {
      cases.push_back(
          {CaseName("QuantizedLinearRows", FormName(form), in, out),
           [=, in = in, out = out](Ops& ops) { CheckQuantizedLinearRows(ops, form, in, out); }});
    }
  }
  return cases;
}

}  // namespace regatta
