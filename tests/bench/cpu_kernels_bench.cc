// Speed of the CPU operations that a step spends its time in, at the shapes of the shipped models;
// and of OpenBLAS on the same products, the library that our panels must beat to be worth keeping.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/ops.h"

namespace regatta {
namespace {

std::vector<float> NormalValues(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = normal(random);
  return values;
}

void CountProduct(benchmark::State& state, double rows, double in, double out) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * rows * in * out, benchmark::Counter::kIsIterationInvariantRate);
}

// Arguments: rows, in, out, threads.
void BM_Linear(benchmark::State& state) {
  const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const std::unique_ptr<Ops> ops = MakeCpuOps(static_cast<int>(state.range(3)));
  std::vector<float> x = NormalValues(rows * in), w = NormalValues(in * out), y(rows * out);
  const auto weight =
      ops->Prepare(Tensor::Of(w.data(), DType::kFloat32, out, in), WeightUse::kLinear);
  for (auto _ : state) {
    ops->Linear(Tensor::Of(x.data(), DType::kFloat32, rows, in), *weight, Tensor{},
                Tensor::Of(y.data(), DType::kFloat32, rows, out));
  }
  CountProduct(state, rows, in, out);
}

void BM_LinearOpenBlas(benchmark::State& state) {
  const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  openblas_set_num_threads(static_cast<int>(state.range(3)));
  std::vector<float> x = NormalValues(rows * in), w = NormalValues(in * out), y(rows * out);
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows),
                static_cast<int>(out), static_cast<int>(in), 1, x.data(), static_cast<int>(in),
                w.data(), static_cast<int>(in), 0, y.data(), static_cast<int>(out));
  }
  CountProduct(state, rows, in, out);
}

void LinearShapes(benchmark::internal::Benchmark* bench) {
  bench->UseRealTime();
  for (const int64_t threads : {1, 2}) {
    for (const int64_t rows : {1, 8, 64, 512}) {
      bench->Args({rows, 256, 1024, threads})->Args({rows, 512, 256, threads});
    }
  }
}
BENCHMARK(BM_Linear)->Apply(LinearShapes);
BENCHMARK(BM_LinearOpenBlas)->Apply(LinearShapes);

// One layer of 8 query and 2 KV heads of 64 over sequences of equal context, each with `length`
// tokens in the step.
struct AttentionStep {
  static constexpr int kHeads = 8, kKvHeads = 2, kDim = 64, kBlock = 16;

  AttentionStep(int sequences, int context, int length, DType cache_dtype)
      : blocks_per_sequence(context / kBlock),
        q(NormalValues(size_t{1} * sequences * length * kHeads * kDim)),
        out(q.size()),
        cache(SizeOf(cache_dtype) * sequences * context * kKvHeads * kDim * 2) {
    for (int s = 0; s < sequences; ++s) {
      starts.push_back(s * length);
      contexts.push_back(context);
      for (int p = context - length; p < context; ++p) positions.push_back(p);
    }
    starts.push_back(sequences * length);
    for (int s = 0; s < sequences; ++s) block_starts.push_back(s * blocks_per_sequence);
    table.resize(size_t{1} * sequences * blocks_per_sequence);
    std::iota(table.begin(), table.end(), 0);
    const int64_t blocks = static_cast<int64_t>(table.size());
    void* values = cache.data() + cache.size() / 2;
    layer.k = Tensor::Of(cache.data(), cache_dtype, blocks, kBlock, kKvHeads, kDim);
    layer.v = Tensor::Of(values, cache_dtype, blocks, kBlock, kKvHeads, kDim);
    batch = {.num_tokens = sequences * length,
             .num_sequences = sequences,
             .max_query_length = length,
             .max_context_length = context,
             .positions = positions.data(),
             .query_start = starts.data(),
             .context_length = contexts.data(),
             .block_table = table.data(),
             .block_start = block_starts.data()};
  }
  void Run(Ops& ops) {
    const AttentionParams params{
        .num_heads = kHeads, .num_kv_heads = kKvHeads, .head_dim = kDim, .scale = 0.125f};
    const int64_t tokens = batch.num_tokens;
    ops.PagedAttention(Tensor::Of(q.data(), DType::kFloat32, tokens, kHeads * kDim), batch, params,
                       layer, Tensor::Of(out.data(), DType::kFloat32, tokens, kHeads * kDim));
  }

  int blocks_per_sequence;
  std::vector<float> q, out;
  std::vector<char> cache;
  std::vector<int32_t> starts, contexts, positions, table, block_starts;
  KvLayer layer;
  AttentionBatch batch;
};

// Arguments: sequences, context, threads, cache dtype.
void BM_DecodeAttention(benchmark::State& state) {
  const std::unique_ptr<Ops> ops = MakeCpuOps(static_cast<int>(state.range(2)));
  AttentionStep step(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)), 1,
                     static_cast<DType>(state.range(3)));
  ops->Reserve(step.batch.num_tokens, step.batch.num_tokens, {}, 0, 0, 0);
  for (auto _ : state) step.Run(*ops);
  state.counters["GB/s"] = benchmark::Counter(1e-9 * static_cast<double>(step.cache.size()),
                                              benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(DTypeName(step.layer.k.dtype));
}
BENCHMARK(BM_DecodeAttention)
    ->UseRealTime()
    ->ArgsProduct({{1, 64},
                   {256, 4096},
                   {1, 2},
                   {static_cast<int>(DType::kFloat32), static_cast<int>(DType::kBFloat16)}});

// Arguments: prompt length, threads. Multiply-adds of the causal half only.
void BM_PrefillAttention(benchmark::State& state) {
  const std::unique_ptr<Ops> ops = MakeCpuOps(static_cast<int>(state.range(1)));
  const int length = static_cast<int>(state.range(0));
  AttentionStep step(1, length, length, DType::kFloat32);
  ops->Reserve(length, length, {}, 0, 0, 0);
  for (auto _ : state) step.Run(*ops);
  const double pairs = 0.5 * length * (length + 1) * AttentionStep::kHeads;
  state.counters["GFLOP/s"] = benchmark::Counter(4e-9 * pairs * AttentionStep::kDim,
                                                 benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_PrefillAttention)->UseRealTime()->ArgsProduct({{128, 1024}, {1, 2}});

// Operations of a decoding step of the shipped dense model: 8 layers of width 256, MLP 512, 1,024
// tokens; one layer's weights and cache stand for all, so caches are warmer than in service.
// Arguments: sequences, threads.
void BM_DecodeStep(benchmark::State& state) {
  constexpr int kLayers = 8, kHidden = 256, kQkv = 12 * 64, kMlp = 512, kVocab = 1024;
  const std::unique_ptr<Ops> ops = MakeCpuOps(static_cast<int>(state.range(1)));
  const int64_t rows = state.range(0);
  AttentionStep attention(static_cast<int>(rows), 256, 1, DType::kFloat32);
  ops->Reserve(static_cast<int>(rows), static_cast<int>(rows), {}, 0, kHidden, kVocab);
  std::vector<std::vector<float>> memory;
  const auto matrix = [&](int64_t height, int64_t width) {
    memory.push_back(NormalValues(height * width));
    return Tensor::Of(memory.back().data(), DType::kFloat32, height, width);
  };
  const auto weight = [&](int64_t out, int64_t in) {
    return ops->Prepare(matrix(out, in), WeightUse::kLinear);
  };
  const auto qkv = weight(kQkv, kHidden), o = weight(kHidden, 512), head = weight(kVocab, kHidden);
  const auto gate_up = weight(2 * kMlp, kHidden), down = weight(kHidden, kMlp);
  const Tensor x = matrix(rows, kHidden), normed = matrix(rows, kHidden);
  const Tensor projected = matrix(rows, kQkv), attended = matrix(rows, 512);
  const Tensor between = matrix(rows, 2 * kMlp), activated = matrix(rows, kMlp);
  const Tensor logits = matrix(rows, kVocab);
  const Tensor norm = Tensor::Of(matrix(1, kHidden).data, DType::kFloat32, kHidden);
  const std::vector<SampleRow> greedy(rows);
  std::vector<int32_t> places(rows);
  const std::unique_ptr<Draws> draws = ops->MakeDraws(rows);
  for (auto _ : state) {
    for (int layer = 0; layer < kLayers; ++layer) {
      ops->RmsNorm(x, norm, 1e-5f, normed);
      ops->Linear(normed, *qkv, Tensor{}, projected);
      attention.Run(*ops);
      ops->Linear(attended, *o, Tensor{}, normed);
      ops->AddRmsNorm(x, normed, norm, 1e-5f, normed);
      ops->GatedProduct(normed, *gate_up, between, activated);
      ops->Linear(activated, *down, Tensor{}, x);
    }
    ops->Linear(x, *head, Tensor{}, logits);
    ops->Sample(logits, greedy, {}, places.data(), places.data(), *draws);
  }
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(BM_DecodeStep)->UseRealTime()->ArgsProduct({{1, 8, 64}, {1, 2}});

// Arguments: rows, vocabulary, filtered.
void BM_Sample(benchmark::State& state) {
  const int64_t rows = state.range(0), vocab = state.range(1);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  ops->Reserve(1, static_cast<int>(rows), {}, 0, 0, static_cast<int>(vocab));
  std::vector<float> logits = NormalValues(rows * vocab);
  SampleRow row{.temperature = 1};
  if (state.range(2) != 0) row.top_p = 0.9f;
  const std::vector<SampleRow> all(rows, row);
  std::vector<int32_t> places(rows);
  const std::unique_ptr<Draws> draws = ops->MakeDraws(rows);
  for (auto _ : state) {
    ops->Sample(Tensor::Of(logits.data(), DType::kFloat32, rows, vocab), all, {}, places.data(),
                places.data(), *draws);
  }
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(BM_Sample)->UseRealTime()->ArgsProduct({{64}, {1024, 128 * 1024}, {0, 1}});

}  // namespace
}  // namespace regatta
