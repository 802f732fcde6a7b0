// The composed operations against compositions of the fine ones in float64-checked steps: a fused
// override must agree with them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/paged_batch.h"

namespace regatta {
namespace {

// Rows of what it works on and of the output are parts of wider ones.
void CheckGatedProduct(Ops& ops, DType dtype, int64_t tokens) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const int64_t hidden = 48, width = 80;
  const TestWeight weight = NormalWeight(ops, dtype, 2 * width, hidden, random);
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, hidden}, random);
  const DeviceTensor between(ops, dtype, {tokens, 2 * width}, 2 * width + 5);
  const DeviceTensor out(ops, dtype, {tokens, width}, width + 3);
  ops.GatedProduct(x, *weight.weight, between, out);
  const std::vector<double> values = x.Read();
  std::vector<double> want, errors;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t f = 0; f < width; ++f) {
      double gate = 0, up = 0;
      for (int64_t k = 0; k < hidden; ++k) {
        gate += values[t * hidden + k] * weight.values[f * hidden + k];
        up += values[t * hidden + k] * weight.values[(width + f) * hidden + k];
      }
      want.push_back(gate / (1 + std::exp(-gate)) * up);
      // Both may be rounded before they meet; the slope of silu is at most 1.1.
      errors.push_back(2.2 * RoundingOf(dtype) * std::abs(gate * up) +
                       2e-6 * (1 + std::abs(gate)) * (1 + std::abs(up)));
    }
  }
  ExpectNear(out.Read(), want, 2 * RoundingOf(dtype), errors, "GatedProduct");
}

// Attention must see the keys that the same call writes.
void CheckAttentionComposed(Ops& ops, DType dtype) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const int heads = 4, kv_heads = 2, dim = 64;
  const PagedBatch paged(ops, {{20, 20}, {1, 1}, {7, 7}}, 16, random);
  const int tokens = paged.num_tokens();
  const DeviceTensor angles = DeviceTensor::Normal(ops, DType::kFloat32, {32, dim}, random);
  const AttentionParams params{.num_heads = heads,
                               .num_kv_heads = kv_heads,
                               .head_dim = dim,
                               .scale = 0.125f,
                               .rope = angles};
  const DeviceTensor v = DeviceTensor::Normal(ops, dtype, {tokens, kv_heads * dim}, random);
  std::vector<std::vector<uint8_t>> results;
  for (const bool composed : {true, false}) {
    Random same(TestSeed() + 1);
    const DeviceTensor q = DeviceTensor::Normal(ops, dtype, {tokens, heads * dim}, same);
    const DeviceTensor k = DeviceTensor::Normal(ops, dtype, {tokens, kv_heads * dim}, same);
    const DeviceTensor cache_k(ops, dtype, {paged.num_blocks(), 16, kv_heads, dim});
    const DeviceTensor cache_v(ops, dtype, {paged.num_blocks(), 16, kv_heads, dim});
    const KvLayer cache = {cache_k, cache_v};
    const DeviceTensor out(ops, dtype, {tokens, heads * dim});
    if (composed) {
      ops.Attention(q, k, v, paged.batch(), params, cache, out);
    } else {
      ops.RopeAndCache(q, k, v, paged.batch(), params, cache);
      ops.PagedAttention(q, paged.batch(), params, cache, out);
    }
    for (const double value : out.Read()) ASSERT_FALSE(std::isnan(value));
    results.push_back(out.Bits());
  }
  EXPECT_EQ(results[0], results[1]);
}

struct DecodingShape {
  int num_heads, num_kv_heads, head_dim, window = 0;
};

// Normal values at every position of every sequence but the newest; NaN elsewhere.
DeviceTensor CacheBefore(Ops& ops, DType dtype, const DecodingShape& shape,
                         const std::vector<int>& contexts, const PagedBatch& paged, int block_size,
                         uint64_t seed) {
  Random random(seed);
  std::normal_distribution<double> normal(0, 1);
  const int64_t width = int64_t{shape.num_kv_heads} * shape.head_dim;
  DeviceTensor cache(ops, dtype,
                     {paged.num_blocks(), block_size, shape.num_kv_heads, shape.head_dim});
  std::vector<double> contents(cache.tensor().num_elements(), std::nan(""));
  for (size_t s = 0; s < contexts.size(); ++s) {
    for (int p = 0; p + 1 < contexts[s]; ++p) {
      const int64_t first = paged.SlotOf(static_cast<int>(s), p) * width;
      for (int64_t i = 0; i < width; ++i) contents[first + i] = normal(random);
    }
  }
  cache.Write(contents);
  return cache;
}

// Where all sequences decode, one launch may rotate, cache and attend: to the same bits. A token
// without a slot is not cached.
void CheckDecodingComposed(Ops& ops, DType dtype, DType cache_dtype, const DecodingShape& shape,
                           const std::vector<int>& contexts, int block_size,
                           bool in_one_launch = false) {
  Random random(TestSeed());
  ReserveForCases(ops);
  std::vector<SequenceShape> sequences;
  for (const int context : contexts) sequences.push_back({context, 1});
  const PagedBatch paged(ops, sequences, block_size, random);
  const int tokens = paged.num_tokens(), dim = shape.head_dim;
  const int64_t width = int64_t{shape.num_heads} * dim,
                kv_width = int64_t{shape.num_kv_heads} * dim;
  const int longest = *std::max_element(contexts.begin(), contexts.end());
  const DeviceTensor angles = DeviceTensor::Normal(ops, DType::kFloat32, {longest, dim}, random);
  const AttentionParams params{.num_heads = shape.num_heads,
                               .num_kv_heads = shape.num_kv_heads,
                               .head_dim = dim,
                               .scale = 0.125f,
                               .sliding_window = shape.window,
                               .rope = angles};
  const DeviceArray<int64_t> no_slots(ops, std::vector<int64_t>(tokens, -1));
  enum class Way { kComposed, kApart, kNotCached };
  std::vector<std::vector<uint8_t>> outs, keys, values;
  std::vector<uint8_t> before;
  for (const Way way : {Way::kComposed, Way::kApart, Way::kNotCached}) {
    if (way == Way::kNotCached && ops.Name() == "cpu") continue;  // whose graphs need no padding
    Random same(TestSeed() + 1);
    const DeviceTensor qkv =
        DeviceTensor::Normal(ops, dtype, {tokens, width + 2 * kv_width}, same, 1);
    const Tensor q = qkv.tensor().Columns(0, width), k = qkv.tensor().Columns(width, kv_width),
                 v = qkv.tensor().Columns(width + kv_width, kv_width);
    const auto make = [&](int side) {
      return CacheBefore(ops, cache_dtype, shape, contexts, paged, block_size, TestSeed() + side);
    };
    const DeviceTensor cache_k = make(2), cache_v = make(3);
    if (before.empty()) before = cache_k.Bits();
    const KvLayer cache = {cache_k, cache_v, 0.5f, 0.25f};
    const DeviceTensor out(ops, dtype, {tokens, width});
    AttentionBatch batch = paged.batch();
    if (way == Way::kNotCached) batch.kv_slot = no_slots.data();
    if (way == Way::kApart) {
      ops.RopeAndCache(q, k, v, batch, params, cache);
      ops.PagedAttention(q, batch, params, cache, out);
    } else {
      ops.Attention(q, k, v, batch, params, cache, out);
    }
    outs.push_back(out.Bits());
    keys.push_back(cache_k.Bits());
    values.push_back(cache_v.Bits());
    if (way == Way::kNotCached) continue;
    for (const double value : out.Read()) ASSERT_FALSE(std::isnan(value));
  }
  EXPECT_EQ(outs[0], outs[1]);
  EXPECT_EQ(keys[0], keys[1]);
  EXPECT_EQ(values[0], values[1]);
  EXPECT_NE(keys[0], before);
  if (keys.size() > 2) {
    EXPECT_EQ(keys[2], before);
    if (in_one_launch) {
      EXPECT_EQ(outs[2], outs[0]) << "its own key was read from the cache";
    }
  }
}

std::vector<OpCase> DecodingComposedCases() {
  std::vector<int> many(40);
  for (size_t s = 0; s < many.size(); ++s) many[s] = static_cast<int>(s * 37 % 200) + 1;
  const std::map<std::string, std::vector<int>> loads = {
      {"edges", {1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 257}},
      {"long", {5000, 3}},
      {"many", many},
      {"one", {300}}};  // split over a cluster
  const DecodingShape group4 = {8, 2, 128}, small_heads = {4, 4, 64}, window = {6, 2, 64, 40};
  std::vector<OpCase> cases;
  const auto add = [&](DType dtype, DType cache_dtype, const DecodingShape& shape,
                       const std::string& load, int block_size = 16) {
    cases.push_back(
        {CaseName("DecodingComposed", DTypeName(dtype), DTypeName(cache_dtype), shape.num_heads,
                  shape.num_kv_heads, shape.head_dim, load, "blocks", block_size),
         [=, contexts = loads.at(load)](Ops& ops) {
           CheckDecodingComposed(ops, dtype, cache_dtype, shape, contexts, block_size);
         }});
  };
  for (const DType dtype : kActivationTypes) {
    for (const DType cache_dtype : {dtype, DType::kFloat8E4M3}) {
      add(dtype, cache_dtype, group4, "edges");
      if (dtype == DType::kFloat32) continue;  // one warp a row, always apart
      for (const char* load : {"one", "many"}) add(dtype, cache_dtype, group4, load);
      add(dtype, cache_dtype, small_heads, "edges");
      add(dtype, cache_dtype, window, "many");
    }
  }
  add(DType::kBFloat16, DType::kBFloat16, group4, "long");
  add(DType::kBFloat16, DType::kFloat8E4M3, {8, 1, 128}, "long");
  add(DType::kBFloat16, DType::kBFloat16, group4, "edges", 64);
  add(DType::kBFloat16, DType::kFloat8E4M3, group4, "edges", 64);
  return cases;
}

}  // namespace

std::vector<OpCase> RotatedDecodingCases() {
  const DecodingShape group4 = {8, 2, 128};
  std::vector<OpCase> cases;
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (const DType cache_dtype : {dtype, DType::kFloat8E4M3}) {
      for (const int block_size : {16, 64}) {
        cases.push_back({CaseName("RotatedDecoding", DTypeName(dtype), DTypeName(cache_dtype),
                                  "blocks", block_size),
                         [=](Ops& ops) {
                           CheckDecodingComposed(ops, dtype, cache_dtype, group4,
                                                 {1, 2, 17, 65, 300}, block_size,
                                                 /*in_one_launch=*/true);
                         }});
      }
    }
  }
  return cases;
}

std::vector<OpCase> CoarseCases() {
  std::vector<OpCase> cases;
  for (const DType dtype : kActivationTypes) {
    for (const int64_t tokens : {1, 3, 17, 129}) {
      cases.push_back({CaseName("GatedProduct", DTypeName(dtype), tokens),
                       [=](Ops& ops) { CheckGatedProduct(ops, dtype, tokens); }});
    }
    cases.push_back({CaseName("AttentionComposed", DTypeName(dtype)),
                     [=](Ops& ops) { CheckAttentionComposed(ops, dtype); }});
  }
  for (OpCase& one : DecodingComposedCases()) cases.push_back(std::move(one));
  return cases;
}

}  // namespace regatta
