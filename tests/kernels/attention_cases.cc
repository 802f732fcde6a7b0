// Paged attention against a whole softmax in float64, over caches that are NaN where nothing is
// held.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/paged_batch.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

struct AttentionShape {
  int num_heads;
  int num_kv_heads;
  int head_dim;
  int block_size;
  int window;
  DType cache_dtype;
  std::vector<SequenceShape> sequences;
  float cache_scale = 1;       // of keys; of values twice that
  bool quantized_out = false;  // under a static scale
  // Hopper's kernel for prompts takes it, which weighs values in E4M3 with float16's 11 bits.
  bool rounds_weights = false;
  // By how much scores rise every 64 keys, in units of log 2, so that maxima move.
  float rise = 0;

  // The first element of every query where they rise, and of the keys at a position.
  static constexpr double kSteady = 8;
  double scale() const { return 1 / std::sqrt(head_dim); }
  double ScoreAt(int position) const { return rise * position / 64 * std::log(2.0); }
  double KeyAt(int position) const { return ScoreAt(position) / (kSteady * scale() * cache_scale); }
  double HighestScore() const {
    int longest = 0;
    for (const SequenceShape& sequence : sequences) longest = std::max(longest, sequence.context);
    return ScoreAt(longest);
  }
};

// Softmax over all visible positions of one (token, head), in float64; and of the magnitudes of
// values, by which a relative error of every weight is to be multiplied.
void ReferenceRow(const AttentionShape& shape, const PagedBatch& paged, const double* q,
                  const std::vector<double>& keys, const std::vector<double>& values, int token,
                  int head, double scale, double* out, double* magnitudes) {
  const int position = paged.positions()[token];
  const int first = shape.window > 0 ? std::max(0, position - shape.window + 1) : 0;
  const int kv_head = head / (shape.num_heads / shape.num_kv_heads);
  const auto row = [&](const std::vector<double>& cache, int p) {
    const int64_t slot = paged.SlotOf(paged.sequence_of()[token], p);
    return cache.data() + (slot * shape.num_kv_heads + kv_head) * shape.head_dim;
  };
  std::vector<double> weights;
  double max = -1e300;
  for (int p = first; p <= position; ++p) {
    double score = 0;
    for (int i = 0; i < shape.head_dim; ++i) score += q[i] * row(keys, p)[i];
    weights.push_back(score * scale);
    max = std::max(max, score * scale);
  }
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - max);
  for (int i = 0; i < shape.head_dim; ++i) {
    double total = 0, magnitude = 0;
    for (int p = first; p <= position; ++p) {
      const double term = weights[p - first] * row(values, p)[i];
      total += term;
      magnitude += std::abs(term);
    }
    out[i] = total / sum;
    magnitudes[i] = magnitude / sum;
  }
}

// Normal values at every position of every sequence, but for the first of heads of keys where
// scores rise; NaN elsewhere. Blocks keep a gap between them, as when k and v share memory.
DeviceTensor FilledCache(Ops& ops, const AttentionShape& shape, const PagedBatch& paged, bool keys,
                         Random& random) {
  const int64_t width = int64_t{shape.num_kv_heads} * shape.head_dim;
  DeviceTensor cache(ops, shape.cache_dtype,
                     {paged.num_blocks(), shape.block_size, shape.num_kv_heads, shape.head_dim},
                     2 * shape.block_size * width);
  std::vector<double> contents(cache.tensor().num_elements(), std::nan(""));
  std::normal_distribution<double> normal(0, 1);
  for (size_t s = 0; s < shape.sequences.size(); ++s) {
    for (int p = 0; p < shape.sequences[s].context; ++p) {
      const int64_t slot = paged.SlotOf(static_cast<int>(s), p);
      for (int64_t i = 0; i < width; ++i) {
        const double drawn = normal(random);
        const bool rises = keys && shape.rise > 0 && i % shape.head_dim == 0;
        contents[slot * width + i] = rises ? shape.KeyAt(p) : drawn;
      }
    }
  }
  cache.Write(contents);
  return cache;
}

void CheckAttention(Ops& ops, DType dtype, const AttentionShape& shape) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const PagedBatch paged(ops, shape.sequences, shape.block_size, random);
  const DeviceTensor cache_k = FilledCache(ops, shape, paged, /*keys=*/true, random);
  const DeviceTensor cache_v = FilledCache(ops, shape, paged, /*keys=*/false, random);
  const int64_t width = int64_t{shape.num_heads} * shape.head_dim;
  DeviceTensor q =
      DeviceTensor::Normal(ops, dtype, {paged.num_tokens(), width}, random, 2, width + 64);
  if (shape.rise > 0) {
    std::vector<double> queries = q.Read();
    for (size_t i = 0; i < queries.size(); i += shape.head_dim) queries[i] = shape.kSteady;
    q.Write(queries);
  }
  const DeviceTensor out(ops, dtype, {paged.num_tokens(), width}, width + 8);
  const auto scale = static_cast<float>(shape.scale());
  const AttentionParams params{.num_heads = shape.num_heads,
                               .num_kv_heads = shape.num_kv_heads,
                               .head_dim = shape.head_dim,
                               .scale = scale,
                               .sliding_window = shape.window};
  const KvLayer cache = {cache_k, cache_v, shape.cache_scale, 2 * shape.cache_scale};
  const QuantizedActivation quantized(ops, ActivationFormat::kStatic, paged.num_tokens(), width);
  ops.PagedAttention(q, paged.batch(), params, cache,
                     shape.quantized_out ? quantized.view() : Activation(out));
  const std::vector<double> queries = q.Read();
  std::vector<double> keys = cache_k.Read();
  std::vector<double> values = cache_v.Read();
  for (double& key : keys) key *= cache.k_scale;
  for (double& value : values) value *= cache.v_scale;
  std::vector<double> want(queries.size()), errors(queries.size());
  for (int t = 0; t < paged.num_tokens(); ++t) {
    for (int h = 0; h < shape.num_heads; ++h) {
      const int64_t offset = t * width + int64_t{h} * shape.head_dim;
      ReferenceRow(shape, paged, queries.data() + offset, keys, values, t, h, scale,
                   want.data() + offset, errors.data() + offset);
    }
  }
  const bool rounded = shape.rounds_weights && ops.Name() != "cpu" && SizeOf(dtype) == 2;
  // A weight is as wrong as its score, of which float32 holds some 2^-22.
  const double weight_error =
      (rounded ? RoundingOf(DType::kFloat16) : 0) + std::ldexp(shape.HighestScore(), -21);
  for (double& error : errors) {
    error = weight_error * error + 1e-5 * std::max(1.0f, cache.v_scale);
  }
  if (shape.quantized_out) {
    ExpectQuantized(quantized, ActivationFormat::kStatic, width, want, "attention", errors);
  } else {
    ExpectNear(out.Read(), want, RoundingOf(dtype) * 1.01, errors, "attention");
  }
}

// Prompts, a chunk in the middle of a prompt, and decoding sequences together, across key blocks.
const std::vector<SequenceShape> kMixed = {{129, 129}, {1, 1},  {200, 17}, {3, 3},
                                           {64, 1},    {65, 1}, {300, 1},  {63, 2}};

// Prompts too long for pieces, whole and in the middle, and decoding ones.
const std::vector<SequenceShape> kPrompts = {{270, 270}, {1, 1},   {310, 90}, {64, 64},
                                             {333, 1},   {220, 3}, {65, 65}};

// Prompts for pieces, one of them in the middle.
const std::vector<SequenceShape> kFewPieces = {{40, 1}, {150, 27}, {33, 33}, {5, 5}, {80, 1}};

// So many short decoding sequences that each has few warps, and some prompts between them.
std::vector<SequenceShape> Many(int count, int longest = 113) {
  std::vector<SequenceShape> sequences = {{longest, 1}};
  while (static_cast<int>(sequences.size()) < count) {
    const int i = static_cast<int>(sequences.size());
    sequences.push_back({i * 37 % 113 + 1, i % 40 == 7 ? std::min(3, i * 37 % 113 + 1) : 1});
  }
  return sequences;
}

// So many short prompts that blocks that stay have several each.
std::vector<SequenceShape> ManyPrompts(int count) {
  std::vector<SequenceShape> sequences;
  for (int i = 0; i < count; ++i) sequences.push_back({i * 29 % 90 + 3, i * 29 % 90 + 2});
  return sequences;
}

// Many that decode beside a prompt that is the smaller part of the step, but too long for pieces.
std::vector<SequenceShape> ManyAndPrompts(int count) {
  std::vector<SequenceShape> sequences = Many(count);
  sequences.push_back({150, 100});
  sequences.push_back({70, 70});
  return sequences;
}

}  // namespace

std::vector<OpCase> AttentionCases() {
  std::vector<OpCase> cases;
  for (const DType dtype : kActivationTypes) {
    const AttentionShape shapes[] = {
        {8, 8, 64, 16, 0, dtype, kMixed},
        {8, 4, 64, 32, 0, dtype, kMixed},
        {8, 2, 128, 16, 0, dtype, kMixed},
        {8, 1, 80, 1, 0, dtype, kMixed},
        {4, 2, 64, 16, 1, dtype, kMixed},
        {4, 2, 64, 16, 70, dtype, kMixed},
        {4, 1, 80, 32, 129, dtype, kMixed},
        {4, 2, 64, 16, 0, dtype, {{1, 1}}},
        {4, 2, 64, 16, 0, dtype, {{17, 17}}},
        {6, 2, 6, 7, 0, dtype, {{1000, 1}, {130, 3}}},
        {71, 1, 64, 16, 0, dtype, {{70, 3}, {5, 1}}},
        {2, 1, 256, 16, 0, dtype, {{90, 30}}},
        {8, 2, 128, 16, 0, dtype, {{3000, 1}, {777, 2}, {2049, 40}}},
        {4, 2, 64, 16, 0, DType::kBFloat16, kMixed},
        {4, 2, 64, 16, 33, DType::kFloat16, kMixed},
        {4, 2, 64, 16, 0, DType::kFloat8E4M3, kMixed},
        {8, 2, 128, 16, 0, DType::kFloat8E4M3, kMixed, 0.5f},
        {8, 2, 64, 32, 70, DType::kFloat8E4M3, kMixed, 1.7f},
        {8, 8, 80, 16, 0, DType::kFloat8E4M3, kMixed},
        {8, 2, 128, 16, 0, DType::kFloat8E4M3, {{3000, 1}, {777, 2}, {2049, 40}}, 0.7f, true},
        {8, 2, 64, 16, 0, dtype, kMixed, 1, true},
        {4, 2, 80, 16, 0, dtype, {{1000, 1}, {130, 30}}, 1, true},
        {2, 1, 256, 16, 0, DType::kFloat8E4M3, {{90, 30}}, 0.7f, true},
        {16, 8, 64, 16, 0, dtype, Many(60)},
        {16, 8, 128, 16, 0, DType::kFloat8E4M3, Many(60)},
        {16, 8, 128, 16, 0, dtype, Many(90), 1, true},
        {32, 8, 64, 32, 33, DType::kFloat8E4M3, Many(90)},
        {16, 8, 64, 16, 40, dtype, Many(130)},
        {32, 8, 128, 16, 0, DType::kFloat8E4M3, Many(130), 0.5f, true},
        {8, 8, 64, 16, 0, DType::kFloat8E4M3, Many(130, 1100)},
        {8, 2, 128, 16, 0, dtype, kPrompts},
        {8, 2, 128, 16, 0, DType::kFloat8E4M3, kPrompts, 0.5f, true, true},
        {8, 8, 128, 1, 33, dtype, kPrompts},
        {6, 2, 128, 7, 130, DType::kFloat8E4M3, kPrompts, 0.7f},
        {14, 2, 128, 16, 70, dtype, kPrompts, 1, true},
        {10, 2, 128, 32, 0, DType::kFloat8E4M3, kPrompts, 1, false, true},
        {8, 2, 128, 16, 40, dtype, kFewPieces},
        {6, 2, 128, 32, 33, DType::kFloat8E4M3, kFewPieces, 0.5f, true},
        {14, 2, 64, 16, 0, dtype, kFewPieces},
        {8, 8, 128, 16, 0, DType::kFloat8E4M3, {{30, 30}}, 0.5f},
        {16, 8, 128, 16, 0, dtype, ManyPrompts(24)},
        {16, 8, 128, 16, 0, DType::kFloat8E4M3, ManyPrompts(24), 0.5f, true, true},
        {16, 8, 128, 16, 0, dtype, ManyAndPrompts(60)},
        {16, 8, 128, 16, 50, DType::kFloat8E4M3, ManyAndPrompts(60), 0.5f, true},
        {8, 2, 128, 16, 0, DType::kFloat8E4M3, {{1500, 24}, {700, 1}}},
        {16, 8, 64, 16, 0, dtype, Many(250)},
        {16, 8, 64, 16, 0, dtype, Many(340)},
        {16, 8, 64, 16, 0, DType::kFloat8E4M3, Many(340)},
        {8, 2, 128, 16, 0, dtype, kPrompts, 1, false, false, 7.5f},
        {8, 2, 128, 16, 0, dtype, kPrompts, 1, false, false, 8.5f},
        {8, 2, 128, 16, 0, DType::kFloat8E4M3, kPrompts, 0.5f, true, true, 7.5f},
        {8, 2, 128, 16, 0, DType::kFloat8E4M3, kPrompts, 0.5f, false, true, 8.5f},
        {8, 2, 64, 16, 0, dtype, kMixed, 1, false, false, 7.5f},
        {8, 2, 64, 16, 0, DType::kFloat8E4M3, kMixed, 1, false, false, 8.5f},
        {4, 2, 80, 16, 0, dtype, {{1000, 1}, {130, 30}}, 1, false, false, 8.5f},
        {8, 8, 64, 16, 0, dtype, Many(130, 1100)},
    };
    for (const AttentionShape& shape : shapes) {
      cases.push_back({CaseName("Attention", cases.size(), DTypeName(dtype), shape.num_heads,
                                shape.num_kv_heads, shape.head_dim, "block", shape.block_size,
                                "window", shape.window, DTypeName(shape.cache_dtype)),
                       [=](Ops& ops) { CheckAttention(ops, dtype, shape); }});
    }
  }
  return cases;
}

}  // namespace regatta
