// Rates of CudaOps on one GPU beside the device's measured copy bandwidth: bytes counted once per
// operand, inputs larger than the caches or rotated through more memory than they hold.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_ops.h"
#include "kernels/dtype.h"
#include "kernels/dummy_values.h"

namespace regatta {
namespace {

constexpr DType kType = DType::kBFloat16;

// Median seconds of one call over five rounds of calls issued back to back.
double SecondsOf(Ops& ops, int calls, const std::function<void(int)>& issue) {
  std::string error;
  std::vector<double> rounds;
  for (int round = 0; round < 6; ++round) {
    CHECK(ops.Sync(&error)) << error;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) issue(i);
    CHECK(ops.Sync(&error)) << error;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (round > 0) rounds.push_back(took.count() / calls);  // the first warms up
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

void Report(const char* name, double seconds, double bytes, double operations) {
  std::printf("%-52s %9.1f us", name, seconds * 1e6);
  if (bytes > 0) std::printf(" %7.2f TB/s", bytes / seconds * 1e-12);
  if (operations > 0) std::printf(" %7.1f TFLOP/s", operations / seconds * 1e-12);
  std::printf("\n");
  std::fflush(stdout);
}

// Random normal bf16 values.
std::vector<BFloat16> RandomValues(int64_t count, float deviation) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<BFloat16> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = i < (1 << 19) ? FromFloat<BFloat16>(normal(random)) : values[i - (1 << 19)];
  }
  return values;
}

// Fills device memory with one megabyte of random values, again and again.
void FillRandom(Ops& ops, const Buffer& buffer) {
  static const std::vector<BFloat16> values = RandomValues(1 << 19, 1);
  const size_t run = values.size() * sizeof(BFloat16);
  for (size_t at = 0; at < buffer.num_bytes(); at += run) {
    ops.CopyToDevice(static_cast<char*>(buffer.data()) + at, values.data(),
                     std::min(run, buffer.num_bytes() - at));
  }
}

class Matrix {
 public:
  Matrix(Ops& ops, int64_t rows, int64_t columns, DType dtype = kType)
      : buffer_(ops.Allocate(rows * columns * SizeOf(dtype))),
        tensor_(Tensor::Of(buffer_.data(), dtype, rows, columns)) {
    if (dtype == kType) FillRandom(ops, buffer_);
  }
  const Tensor& tensor() const { return tensor_; }

 private:
  Buffer buffer_;
  Tensor tensor_;
};

void BenchNorm(Ops& ops) {
  for (const int64_t tokens : {256, 8192, 65536}) {
    const int64_t width = 4096;
    const Matrix residual(ops, tokens, width), x(ops, tokens, width), out(ops, tokens, width);
    const Matrix weight(ops, 1, width);
    const Tensor scale = Tensor::Of(weight.tensor().data, kType, width);
    const double seconds = SecondsOf(ops, tokens > 10000 ? 20 : 100, [&](int) {
      ops.AddRmsNorm(residual.tensor(), x.tensor(), scale, 1e-5f, out.tensor());
    });
    char name[64];
    std::snprintf(name, sizeof(name), "AddRmsNorm %ld x %ld", tokens, width);
    Report(name, seconds, 4.0 * tokens * width * 2, 0);
  }
  const Matrix gate_up(ops, 16384, 28672), out(ops, 16384, 14336);
  const double seconds =
      SecondsOf(ops, 20, [&](int) { ops.SiluMul(gate_up.tensor(), out.tensor()); });
  Report("SiluMul 16384 x 14336", seconds, 3.0 * 16384 * 14336 * 2, 0);
}

void BenchLinear(Ops& ops) {
  const std::pair<int64_t, int64_t> shapes[] = {
      {6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}};
  for (const auto& [out_features, in] : shapes) {
    const std::vector<BFloat16> values = RandomValues(out_features * in, 0.02f);
    const Tensor host = Tensor::Of(const_cast<BFloat16*>(values.data()), kType, out_features, in);
    std::vector<std::unique_ptr<Weight>> weights;  // rotated, more than the cache holds
    for (int i = 0; i < 6; ++i) weights.push_back(ops.Prepare(host, WeightUse::kLinear));
    for (const int64_t tokens : {1, 64, 256, 8192}) {
      const Matrix x(ops, tokens, in), out(ops, tokens, out_features);
      const double seconds = SecondsOf(ops, tokens > 1000 ? 12 : 60, [&](int i) {
        ops.Linear(x.tensor(), *weights[i % 6], Tensor{}, out.tensor());
      });
      char name[64];
      std::snprintf(name, sizeof(name), "Linear %ld -> %ld, %ld tokens", in, out_features, tokens);
      const double elements = static_cast<double>(out_features) * in + tokens * (in + out_features);
      Report(name, seconds, 2 * elements, 2.0 * tokens * in * out_features);
    }
  }
}

// E4M3 numbers under one scale, of a weight and of its input.
std::unique_ptr<Weight> MakeStaticWeight(Ops& ops, int64_t out, int64_t in) {
  const Matrix numbers(ops, out, in, DType::kFloat8E4M3);
  ops.FillDummy(numbers.tensor(), {1, 0, static_cast<uint64_t>(in), 1.0f});
  float one = 1;
  return ops.PrepareQuantized(
      {.values = numbers.tensor(), .scale = Tensor::Of(&one, DType::kFloat32, 1), .input_scale = 1},
      WeightUse::kLinear);
}

// Products of few tokens in a graph, by cuBLASLt's first choice and by our own kernel, weights
// rotated through more than the cache holds.
void BenchSkinny(Ops& ops, bool quantized, int64_t out_features, int64_t in) {
  constexpr int kWeights = 8, kTokens = 32;
  std::vector<std::unique_ptr<Weight>> weights;
  for (int i = 0; i < kWeights; ++i) {
    if (quantized) {
      weights.push_back(MakeStaticWeight(ops, out_features, in));
      continue;
    }
    const Matrix matrix(ops, out_features, in);
    weights.push_back(ops.Prepare(matrix.tensor(), WeightUse::kLinear));
  }
  const Matrix plain(ops, kTokens, in), out(ops, kTokens, out_features);
  const Matrix numbers(ops, kTokens, in, DType::kFloat8E4M3);
  Activation input = plain.tensor();
  if (quantized) {
    input = Activation(numbers.tensor(), weights[0]->input_scale);
    ops.Quantize(plain.tensor(), input);
  }
  for (const int64_t tokens : {1, 8, 16, 32}) {
    for (const OwnUse use : {OwnUse::kNever, OwnUse::kAlways}) {
      UseOwnProducts(ops, use);
      const auto issue = [&] {
        for (const auto& weight : weights) {
          ops.Linear(input.FirstRows(tokens), *weight, Tensor{}, out.tensor().Rows(0, tokens));
        }
      };
      issue();  // plans are made outside of the recording
      const std::unique_ptr<Graph> graph = ops.Capture(issue);
      const double seconds = SecondsOf(ops, 20, [&](int) { graph->Replay(); }) / kWeights;
      char name[64];
      std::snprintf(name, sizeof(name), "%s %ld -> %ld, %ld, %s", quantized ? "fp8" : "bf16", in,
                    out_features, tokens, use == OwnUse::kNever ? "cuBLASLt" : "own");
      Report(name, seconds, 1.0 * out_features * in * (quantized ? 1 : 2), 0);
    }
  }
  UseOwnProducts(ops, OwnUse::kMeasured);
}

// The products of a layer of Llama-3.1-8B; weights of several layers, more than the cache holds.
class LayerProducts {
 public:
  static constexpr int kLayers = 3;
  static constexpr int64_t kHidden = 4096, kWidth = 14336, kMostTokens = 4096;

  LayerProducts(Ops& ops, bool quantized)
      : ops_(ops),
        plain_(ops, kMostTokens, kWidth),
        numbers_(ops, kMostTokens, kWidth, quantized ? DType::kFloat8E4M3 : kType),
        activated_(ops, kMostTokens, kWidth, quantized ? DType::kFloat8E4M3 : kType),
        out_(ops, kMostTokens, 2 * kWidth) {
    for (Product& product : products_) {
      for (int i = 0; i < kLayers; ++i) {
        const Matrix matrix(ops, product.out, product.in);
        product.weights.push_back(quantized ? MakeStaticWeight(ops, product.out, product.in)
                                            : ops.Prepare(matrix.tensor(), WeightUse::kLinear));
      }
    }
    scale_ = products_[0].weights[0]->input_scale;
    if (quantized) ops.Quantize(plain_.tensor(), Activation(numbers_.tensor(), scale_));
  }

  // Calls act(name, operations a token, issue(layer)) for each product, then for the whole MLP.
  template <typename Act>
  void ForEach(int64_t tokens, const Act& act) {
    for (const Product& product : products_) {
      const Tensor to = out_.tensor().Rows(0, tokens).Columns(0, product.out);
      act(product.name, 2.0 * product.out * product.in, [&](int layer) {
        ops_.Linear(Input(tokens, product.in), *product.weights[layer], Tensor{}, to);
      });
    }
    act("MLP", 6.0 * kHidden * kWidth, [&](int layer) {
      const Activation activated = Formed(activated_.tensor().Rows(0, tokens));
      ops_.GatedProduct(Input(tokens, kHidden), *products_[2].weights[layer],
                        out_.tensor().Rows(0, tokens), activated);
      ops_.Linear(activated, *products_[3].weights[layer], Tensor{},
                  plain_.tensor().Rows(0, tokens).Columns(0, kHidden));
    });
  }

 private:
  struct Product {
    const char* name;
    int64_t out, in;
    std::vector<std::unique_ptr<Weight>> weights;
  };

  Activation Formed(const Tensor& values) const {
    return values.dtype == kType ? Activation(values) : Activation(values, scale_);
  }
  Activation Input(int64_t tokens, int64_t in) const {
    const Matrix& from = numbers_.tensor().dtype == kType ? plain_ : numbers_;
    return Formed(from.tensor().Rows(0, tokens).Columns(0, in));
  }

  Ops& ops_;
  const Matrix plain_, numbers_, activated_, out_;
  Tensor scale_;
  Product products_[4] = {{"qkv", 6144, kHidden, {}},
                          {"o", kHidden, kHidden, {}},
                          {"gate, up", 2 * kWidth, kHidden, {}},
                          {"down", kHidden, kWidth, {}}};
};

// By cuBLASLt and a gate, and by our kernel for many tokens.
void BenchWide(Ops& ops, bool quantized) {
  ops.Reserve(LayerProducts::kMostTokens, 1024, {}, 0, LayerProducts::kHidden, 128256);
  LayerProducts products(ops, quantized);
  for (const int64_t tokens :
       {64, 128, 192, 256, 384, 512, 640, 768, 896, 1024, 1152, 1536, 2048, 2176, 4096}) {
    for (const OwnUse use : {OwnUse::kNever, OwnUse::kAlways}) {
      UseOwnProducts(ops, use);
      products.ForEach(tokens, [&](const char* what, double operations, const auto& issue) {
        ops.SetTuning(true);
        issue(0);
        ops.SetTuning(false);
        const double seconds = SecondsOf(ops, static_cast<int>(20000 / tokens) + 12,
                                         [&](int i) { issue(i % LayerProducts::kLayers); });
        char name[64];
        std::snprintf(name, sizeof(name), "%s %ld, %s, %s", quantized ? "fp8" : "bf16", tokens,
                      what, use == OwnUse::kNever ? "cuBLASLt" : "own");
        Report(name, seconds, 0, operations * tokens);
      });
    }
  }
  UseOwnProducts(ops, OwnUse::kMeasured);
}

// The gate of Llama-3.1-8B, plain and under a static scale; layers take turns as below.
void BenchGate(Ops& ops) {
  constexpr int64_t kWidth = 14336;
  for (const int64_t tokens : {64, 192, 512, 1024, 4096}) {
    const int layers = tokens > 1024 ? 2 : 8;
    std::vector<Matrix> inputs;
    for (int i = 0; i < layers; ++i) inputs.emplace_back(ops, tokens, 2 * kWidth);
    const Matrix out(ops, tokens, kWidth), numbers(ops, tokens, kWidth, DType::kFloat8E4M3);
    const Matrix scale(ops, 1, 1, DType::kFloat32);
    const float one = 1;
    ops.CopyToDevice(scale.tensor().data, &one, sizeof(one));
    const Tensor static_scale = Tensor::Of(scale.tensor().data, DType::kFloat32, 1);
    for (const bool quantized : {false, true}) {
      const Activation to =
          quantized ? Activation(numbers.tensor(), static_scale) : Activation(out.tensor());
      const auto issue = [&] {
        for (const Matrix& input : inputs) ops.SiluMul(input.tensor(), to);
      };
      issue();
      const std::unique_ptr<Graph> graph = ops.Capture(issue);
      const double seconds = SecondsOf(ops, 10, [&](int) { graph->Replay(); }) / layers;
      char name[64];
      std::snprintf(name, sizeof(name), "SiluMul %ld x 14336, %s", tokens,
                    quantized ? "static E4M3" : "bf16");
      Report(name, seconds, tokens * kWidth * (quantized ? 5.0 : 6.0), 0);
    }
  }
}

// A step's sequences: some decode at a context, prompts come whole.
struct AttentionLoad {
  int decoding = 0, context = 0;
  int prompts = 0, length = 0;
};

// The step's columns in device memory; blocks of 16 are scattered.
class PagedSequences {
 public:
  PagedSequences(Ops& ops, const AttentionLoad& load) {
    std::vector<int32_t> positions, starts{0}, contexts, block_starts, prompts;
    const auto add = [&](int context, int query) {
      for (int i = 0; i < query; ++i) positions.push_back(context - query + i);
      starts.push_back(static_cast<int32_t>(positions.size()));
      contexts.push_back(context);
      block_starts.push_back(num_blocks_);
      num_blocks_ += (context + kBlock - 1) / kBlock;
    };
    for (int s = 0; s < load.decoding; ++s) add(load.context, 1);
    for (int s = 0; s < load.prompts; ++s) {
      prompts.push_back(load.decoding + s);
      add(load.length, load.length);
    }
    std::vector<int32_t> table(num_blocks_);
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), std::mt19937(3));
    const auto upload = [&](const std::vector<int32_t>& values) {
      arrays_.push_back(ops.Allocate(values.size() * 4 + 4));
      ops.CopyToDevice(arrays_.back().data(), values.data(), values.size() * 4);
      return static_cast<const int32_t*>(arrays_.back().data());
    };
    batch_.num_tokens = static_cast<int>(positions.size());
    batch_.num_sequences = load.decoding + load.prompts;
    batch_.max_query_length = load.prompts > 0 ? load.length : 1;
    batch_.max_context_length = std::max(load.context, load.length);
    batch_.positions = upload(positions);
    batch_.query_start = upload(starts);
    batch_.context_length = upload(contexts);
    batch_.block_table = upload(table);
    batch_.block_start = upload(block_starts);
    batch_.prompts = upload(prompts);
    batch_.num_prompts = load.prompts;
  }
  static constexpr int kBlock = 16;
  int num_blocks() const { return num_blocks_; }
  const AttentionBatch& batch() const { return batch_; }

 private:
  int num_blocks_ = 0;
  std::vector<Buffer> arrays_;
  AttentionBatch batch_;
};

// Llama-3.1-8B's heads. Layers take turns until their keys and values are more than the caches
// hold; those of few prompts, which a step has just written, are not.
void BenchAttention(Ops& ops, const AttentionLoad& load, DType cached = kType) {
  constexpr int kHeads = 32, kKvHeads = 8, kDim = 128;
  const PagedSequences paged(ops, load);
  const int64_t tokens = paged.batch().num_tokens, blocks = paged.num_blocks();
  const double read = 1.0 * load.decoding * load.context + 1.0 * load.prompts * load.length;
  const double bytes = 2.0 * read * kKvHeads * kDim * SizeOf(cached);
  const int layers = std::clamp(static_cast<int>(4e8 / bytes), 1, 16);
  std::vector<Matrix> sides;
  std::vector<KvLayer> caches;
  for (int i = 0; i < 2 * layers; ++i) {
    sides.emplace_back(ops, blocks, paged.kBlock * kKvHeads * kDim, cached);
    if (cached != kType) ops.FillDummy(sides.back().tensor(), {1, 0, 1u << 20, 1.0f});
  }
  for (int i = 0; i < layers; ++i) {
    const auto side = [&](int j) {
      return Tensor::Of(sides[j].tensor().data, cached, blocks, paged.kBlock, kKvHeads, kDim);
    };
    caches.push_back({side(2 * i), side(2 * i + 1)});
  }
  const Matrix q(ops, tokens, kHeads * kDim), out(ops, tokens, kHeads * kDim);
  const AttentionParams params{kHeads, kKvHeads, kDim, 1 / std::sqrt(128.0f)};
  const auto issue = [&] {
    for (const KvLayer& cache : caches) {
      ops.PagedAttention(q.tensor(), paged.batch(), params, cache, out.tensor());
    }
  };
  issue();  // what is made at first use cannot be while recording
  const std::unique_ptr<Graph> graph = ops.Capture(issue);
  const double seconds = SecondsOf(ops, 10, [&](int) { graph->Replay(); }) / layers;
  char name[64];
  std::snprintf(name, sizeof(name), "attention %d x %d, prompts %d x %d, %s", load.decoding,
                load.context, load.prompts, load.length, DTypeName(cached));
  const double pairs = load.prompts * (load.length * (load.length + 1.0) / 2);
  Report(name, seconds, load.prompts > 0 ? 0 : bytes,
         load.decoding > 0 ? 0 : 4.0 * pairs * kHeads * kDim);
}

void BenchAttentions(Ops& ops) {
  for (const DType cached : {kType, DType::kFloat8E4M3}) {
    for (const auto& [sequences, context] : std::vector<std::pair<int, int>>{{1, 256},
                                                                             {1, 1024},
                                                                             {8, 1024},
                                                                             {16, 256},
                                                                             {64, 192},
                                                                             {64, 256},
                                                                             {64, 1024},
                                                                             {128, 256},
                                                                             {256, 192},
                                                                             {256, 1024},
                                                                             {512, 192},
                                                                             {512, 256},
                                                                             {1024, 192},
                                                                             {1, 32768},
                                                                             {16, 16384}}) {
      BenchAttention(ops, {sequences, context}, cached);
    }
    for (const AttentionLoad& load :
         {AttentionLoad{0, 0, 1, 16}, AttentionLoad{0, 0, 1, 128}, AttentionLoad{0, 0, 1, 512},
          AttentionLoad{0, 0, 8, 128}, AttentionLoad{63, 192, 1, 128},
          AttentionLoad{254, 192, 2, 128}, AttentionLoad{508, 192, 4, 128},
          AttentionLoad{63, 1024, 1, 1000}, AttentionLoad{126, 2112, 1, 2048},
          AttentionLoad{0, 0, 1, 2048}, AttentionLoad{0, 0, 2, 2048}, AttentionLoad{0, 0, 8, 1024},
          AttentionLoad{0, 0, 1, 8192}}) {
      BenchAttention(ops, load, cached);
    }
  }
}

// Routing and experts of one layer shaped like Qwen3-30B-A3B's.
void BenchExperts(Ops& ops) {
  const int64_t hidden = 2048, width = 768;
  MoeParams params{128, 8};
  params.num_local = 128;
  ops.Reserve(8192, 1024, params, width, hidden, 151936);
  const std::vector<BFloat16> values = RandomValues(2 * width * hidden, 0.02f);
  MoeWeights weights;
  std::vector<std::unique_ptr<Weight>> kept;
  const auto add = [&](int64_t out, int64_t in) {
    const Tensor host = Tensor::Of(const_cast<BFloat16*>(values.data()), kType, out, in);
    kept.push_back(ops.Prepare(host, WeightUse::kExpert));
    return kept.back().get();
  };
  for (int e = 0; e < 128; ++e) {
    const Weight* gate_up = add(2 * width, hidden);
    weights.experts.push_back({gate_up, add(hidden, width)});
  }
  for (const int64_t tokens : {1, 8, 64, 256, 1024, 8192}) {
    std::vector<float> scores(tokens * 128);
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (float& score : scores) score = normal(random);
    const Matrix logits(ops, tokens, 128, DType::kFloat32);
    ops.CopyToDevice(logits.tensor().data, scores.data(), scores.size() * 4);
    const Matrix ids(ops, tokens, 8, DType::kInt32), routing(ops, tokens, 8, DType::kFloat32);
    const Matrix x(ops, tokens, hidden), out(ops, tokens, hidden);
    const double seconds = SecondsOf(ops, 20, [&](int) {
      ops.MoeRoute(logits.tensor(), params, ids.tensor(), routing.tensor());
      ops.MoeExperts(x.tensor(), ids.tensor(), routing.tensor(), params, weights, out.tensor());
    });
    char name[64];
    std::snprintf(name, sizeof(name), "MoE 128 x 768, top 8, %ld tokens", tokens);
    Report(name, seconds, 0, 2.0 * tokens * 8 * 3 * width * hidden);
  }
}

void BenchSample(Ops& ops, int rows, const char* what, const SampleRow& row) {
  const int64_t vocab = 128256;
  ops.Reserve(8192, 1024, {}, 0, 4096, vocab);
  std::vector<float> values(rows * vocab);
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 3);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i < 4000000 ? normal(random) : values[i - 4000000];
  }
  const Matrix logits(ops, rows, vocab, DType::kFloat32);
  ops.CopyToDevice(logits.tensor().data, values.data(), values.size() * 4);
  const Buffer slots = ops.Allocate(rows * sizeof(int32_t));  // all 0: one place for all
  const Buffer drawn = ops.Allocate(sizeof(int32_t));
  const std::unique_ptr<Draws> draws = ops.MakeDraws(rows);
  const double seconds = SecondsOf(ops, 10, [&](int) {
    ops.Sample(logits.tensor(), std::vector<SampleRow>(rows, row), {},
               static_cast<const int32_t*>(slots.data()), static_cast<int32_t*>(drawn.data()),
               *draws);
  });
  char name[64];
  std::snprintf(name, sizeof(name), "Sample %d x %ld, %s", rows, vocab, what);
  Report(name, seconds, 4.0 * rows * vocab, 0);
}

// Loading: matrices of pageable memory to the device, and dummy ones made there.
void BenchLoading(Ops& ops) {
  const int64_t rows = 28672, columns = 4096;
  const double bytes = 2.0 * rows * columns;
  const std::vector<BFloat16> values = RandomValues(rows * columns, 0.02f);
  const Tensor host = Tensor::Of(const_cast<BFloat16*>(values.data()), kType, rows, columns);
  std::vector<std::unique_ptr<Weight>> weights;
  const double prepare = SecondsOf(ops, 8, [&](int i) {
    if (i == 0) weights.clear();
    weights.push_back(ops.Prepare(host, WeightUse::kLinear));
  });
  Report("Prepare 28672 x 4096 from pageable memory", prepare, bytes, 0);
  const Matrix out(ops, rows, columns);
  const double fill = SecondsOf(ops, 8, [&](int) {
    ops.FillDummy(out.tensor(), {1, 0, static_cast<uint64_t>(columns), 0.02f});
  });
  Report("FillDummy 28672 x 4096", fill, bytes, 0);
}

// `only`: skinny, wide or attention; empty for all.
int Main(const std::string& only) {
  std::string error;
  const std::unique_ptr<Ops> ops = MakeCudaOps(0, &error);
  if (ops == nullptr) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  const Matrix from(*ops, 65536, 8192), to(*ops, 65536, 8192);
  const double copy =
      SecondsOf(*ops, 10, [&](int) { ops->AddScaled(to.tensor(), from.tensor(), Tensor{}); });
  Report("y += x of 1 GiB (read 2, write 1)", copy, 3.0 * 65536 * 8192 * 2, 0);
  if (only == "wide") {
    for (const bool quantized : {false, true}) BenchWide(*ops, quantized);
    return 0;
  }
  if (only == "attention") {
    BenchAttentions(*ops);
    return 0;
  }
  for (const bool quantized : {false, true}) {
    for (const auto& [out, in] : std::vector<std::pair<int64_t, int64_t>>{
             {6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}}) {
      BenchSkinny(*ops, quantized, out, in);
    }
  }
  if (only == "skinny") return 0;
  BenchLoading(*ops);
  BenchNorm(*ops);
  BenchGate(*ops);
  BenchAttentions(*ops);
  BenchExperts(*ops);
  for (const int rows : {1, 64, 256}) {
    BenchSample(*ops, rows, "greedy", {});
    BenchSample(*ops, rows, "temperature", {.temperature = 1});
    BenchSample(*ops, rows, "top-k 50 top-p 0.9", {.temperature = 1, .top_k = 50, .top_p = 0.9f});
  }
  BenchLinear(*ops);
  return 0;
}

}  // namespace
}  // namespace regatta

// skinny: products of few tokens alone; wide, attention: those alone.
int main(int argc, char** argv) { return regatta::Main(argc > 1 ? argv[1] : ""); }
