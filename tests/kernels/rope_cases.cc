// Per-head norm, rotation and cache writes against float64; untouched slots must stay NaN.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/paged_batch.h"

namespace regatta {
namespace {

struct RopeShape {
  int num_heads;
  int num_kv_heads;
  int head_dim;
  int block_size;
  bool norm;
  DType cache_dtype;
  float cache_scale = 1;  // of keys; of values twice that
};

// One head in float64: optional norm, then rotation of pairs (i, i + K/2).
void ReferenceHead(const double* angles, const std::vector<double>& norm, double eps, int dim,
                   double* head) {
  if (!norm.empty()) {
    double squares = 0;
    for (int i = 0; i < dim; ++i) squares += head[i] * head[i];
    for (int i = 0; i < dim; ++i) head[i] *= norm[i] / std::sqrt(squares / dim + eps);
  }
  const int half = dim / 2;
  for (int i = 0; i < half; ++i) {
    const double low = head[i];
    const double high = head[i + half];
    head[i] = low * angles[i] - high * angles[half + i];
    head[i + half] = low * angles[half + i] + high * angles[i];
  }
}

// All tokens' heads of columns [first, first + heads * dim) of the combined matrix.
std::vector<double> Reference(const std::vector<double>& x, const PagedBatch& paged,
                              const std::vector<double>& angles, const std::vector<double>& norm,
                              int heads, int dim) {
  std::vector<double> out = x;
  for (int t = 0; t < paged.num_tokens(); ++t) {
    for (int h = 0; h < heads; ++h) {
      ReferenceHead(angles.data() + int64_t{paged.positions()[t]} * dim, norm, 1e-5f, dim,
                    out.data() + (int64_t{t} * heads + h) * dim);
    }
  }
  return out;
}

// Cache contents that should result: NaN but at the slots of the step's tokens.
void ExpectCached(const DeviceTensor& cache, const std::vector<double>& rows,
                  const PagedBatch& paged, double relative, double absolute) {
  const std::vector<double> got = cache.Read();
  const int64_t width = cache.tensor().dim(2) * cache.tensor().dim(3);
  const int64_t num_slots = cache.tensor().dim(0) * cache.tensor().dim(1);
  std::vector<int> token_of(num_slots, -1);
  for (int t = 0; t < paged.num_tokens(); ++t) {
    token_of[paged.SlotOf(paged.sequence_of()[t], paged.positions()[t])] = t;
  }
  for (int64_t slot = 0; slot < num_slots; ++slot) {
    for (int64_t i = 0; i < width; ++i) {
      const double value = got[slot * width + i];
      if (token_of[slot] < 0) {
        ASSERT_TRUE(std::isnan(value)) << "slot " << slot << " was not to be written";
      } else {
        const double want = rows[token_of[slot] * width + i];
        ASSERT_LE(std::abs(value - want), relative * std::abs(want) + absolute) << "slot " << slot;
      }
    }
  }
}

void CheckRopeAndCache(Ops& ops, DType dtype, RopeShape shape) {
  Random random(TestSeed());
  const int dim = shape.head_dim;
  const PagedBatch paged(ops, {{40, 40}, {1, 1}, {33, 1}, {50, 17}}, shape.block_size, random);
  const int64_t q_width = int64_t{shape.num_heads} * dim;
  const int64_t kv_width = int64_t{shape.num_kv_heads} * dim;
  const DeviceTensor qkv =
      DeviceTensor::Normal(ops, dtype, {paged.num_tokens(), q_width + 2 * kv_width}, random, 2);
  const Tensor q = qkv.tensor().Columns(0, q_width);
  const Tensor k = qkv.tensor().Columns(q_width, kv_width);
  const Tensor v = qkv.tensor().Columns(q_width + kv_width, kv_width);
  const DeviceTensor angles = DeviceTensor::Normal(ops, DType::kFloat32, {64, dim}, random, 0.7);
  const DeviceTensor q_norm = DeviceTensor::Normal(ops, dtype, {dim}, random);
  const DeviceTensor k_norm = DeviceTensor::Normal(ops, dtype, {dim}, random);
  const std::vector<int64_t> cache_shape = {paged.num_blocks(), shape.block_size,
                                            shape.num_kv_heads, dim};
  const DeviceTensor cache_k(ops, shape.cache_dtype, cache_shape);
  const DeviceTensor cache_v(ops, shape.cache_dtype, cache_shape);
  AttentionParams params{.num_heads = shape.num_heads,
                         .num_kv_heads = shape.num_kv_heads,
                         .head_dim = dim,
                         .norm_eps = 1e-5f,
                         .rope = angles};
  if (shape.norm) {
    params.q_norm = q_norm;
    params.k_norm = k_norm;
  }
  const auto columns = [&](int64_t first, int64_t count) {
    const std::vector<double> all = qkv.Read();
    std::vector<double> slice;
    for (int t = 0; t < paged.num_tokens(); ++t) {
      const auto row = all.begin() + t * (q_width + 2 * kv_width) + first;
      slice.insert(slice.end(), row, row + count);
    }
    return slice;
  };
  const std::vector<double> none;
  const std::vector<double> want_q =
      Reference(columns(0, q_width), paged, angles.Read(), shape.norm ? q_norm.Read() : none,
                shape.num_heads, dim);
  const std::vector<double> want_k =
      Reference(columns(q_width, kv_width), paged, angles.Read(), shape.norm ? k_norm.Read() : none,
                shape.num_kv_heads, dim);
  const std::vector<double> want_v = columns(q_width + kv_width, kv_width);
  ops.RopeAndCache(q, k, v, paged.batch(), params,
                   {cache_k, cache_v, shape.cache_scale, 2 * shape.cache_scale});
  const double relative = RoundingOf(dtype) * 1.01 + 2e-6;
  // A rotation subtracts: its float32 error is relative to the head, not to the result.
  ExpectNear(columns(0, q_width), want_q, relative, 1e-5, "q");
  ExpectNear(columns(q_width, kv_width), want_k, relative, 1e-5, "k");
  EXPECT_EQ(columns(q_width + kv_width, kv_width), want_v);
  const double cache_relative = relative + 1.01 * RoundingOf(shape.cache_dtype);
  const double cache_absolute = shape.cache_dtype == DType::kFloat8E4M3 ? 0x1p-10 + 1e-5 : 1e-5;
  const double largest = shape.cache_dtype == DType::kFloat8E4M3 ? 448 : HUGE_VAL;
  const auto stored = [largest](std::vector<double> values, double scale) {
    for (double& value : values) value = std::clamp(value / scale, -largest, largest);
    return values;
  };
  ExpectCached(cache_k, stored(want_k, shape.cache_scale), paged, cache_relative, cache_absolute);
  ExpectCached(cache_v, stored(want_v, 2 * shape.cache_scale), paged, cache_relative,
               cache_absolute);
}

}  // namespace

std::vector<OpCase> RopeCases() {
  std::vector<OpCase> cases;
  for (const DType dtype : kActivationTypes) {
    const RopeShape shapes[] = {{8, 2, 64, 16, false, dtype},
                                {4, 4, 80, 1, true, dtype},
                                {2, 1, 128, 32, true, DType::kFloat32},
                                {3, 1, 6, 16, false, DType::kBFloat16},
                                {8, 1, 64, 16, true, DType::kFloat8E4M3},
                                {4, 2, 128, 16, false, DType::kFloat8E4M3, 0.03f}};
    for (const RopeShape& shape : shapes) {
      cases.push_back(
          {CaseName("Rope", DTypeName(dtype), shape.num_heads, shape.num_kv_heads, shape.head_dim,
                    "block", shape.block_size, shape.norm ? "norm" : "plain",
                    DTypeName(shape.cache_dtype), shape.cache_scale == 1 ? "unscaled" : "scaled"),
           [=](Ops& ops) { CheckRopeAndCache(ops, dtype, shape); }});
    }
  }
  return cases;
}

}  // namespace regatta
