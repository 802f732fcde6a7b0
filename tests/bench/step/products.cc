// Counting, dividing and timing products; see products.h.
#include "tests/bench/step/products.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <random>

#include "common/check.h"
#include "kernels/dummy_values.h"

namespace regatta {
namespace {

constexpr int64_t kBeyondCaches = int64_t{256} << 20;  // bytes of weights that are rotated
constexpr int kRounds = 5;
constexpr double kRoundS = 0.01;  // of one round at least

// A matrix of dummy values in the backend's memory.
struct Operand {
  Buffer buffer;
  Tensor tensor;
};

Operand MakeOperand(Ops& ops, DType dtype, int64_t rows, int64_t columns, uint64_t key) {
  Operand operand;
  operand.buffer = ops.Allocate(rows * columns * SizeOf(dtype));
  if (operand.buffer.data() == nullptr) return operand;
  operand.tensor = Tensor::Of(operand.buffer.data(), dtype, rows, columns);
  const float deviation = 1 / std::sqrt(static_cast<float>(columns));
  ops.FillDummy(operand.tensor, {key, 0, static_cast<uint64_t>(columns), deviation});
  return operand;
}

std::unique_ptr<Weight> MakeWeight(Ops& ops, DType dtype, int64_t out, int64_t in, uint64_t key,
                                   WeightUse use) {
  const Operand matrix = MakeOperand(ops, dtype, out, in, key);
  return matrix.tensor ? ops.Prepare(matrix.tensor, use) : nullptr;
}

// E4M3 with a scale per row of the weight and of the input, or with one constant scale of each.
std::unique_ptr<Weight> MakeQuantizedWeight(Ops& ops, const Product& product, DType dtype,
                                            uint64_t key) {
  const bool constant = product.input == ActivationFormat::kStatic;
  const Operand matrix =
      MakeOperand(ops, constant ? DType::kFloat8E4M3 : dtype, product.out, product.in, key);
  if (!matrix.tensor) return nullptr;
  QuantizedMatrix quantized = {.values = matrix.tensor};
  float one = 1;
  if (constant) {
    quantized.scale = Tensor::Of(&one, DType::kFloat32, 1);
    quantized.input_scale = 1;
  }
  return ops.PrepareQuantized(quantized, WeightUse::kLinear);
}

// What a product multiplies, in the form that its weight takes.
struct ProductInput {
  Operand plain, values, scale;
  Activation activation;
};

ProductInput MakeInput(Ops& ops, const Product& product, const Weight& weight, int tokens,
                       DType dtype) {
  ProductInput input;
  input.plain = MakeOperand(ops, dtype, tokens, product.in, 77);
  if (!input.plain.tensor) return input;
  input.activation = input.plain.tensor;
  if (product.input == ActivationFormat::kPlain) return input;
  const int64_t rows = (tokens + kGroupRows - 1) / kGroupRows * kGroupRows;
  input.values = MakeOperand(ops, DType::kFloat8E4M3, rows, product.in, 78);
  input.scale = MakeOperand(ops, DType::kFloat32, 1, rows, 79);
  const Tensor scale =
      product.input == ActivationFormat::kStatic ? weight.input_scale : input.scale.tensor;
  input.activation = Activation(input.values.tensor, scale).FirstRows(tokens);
  ops.Quantize(input.plain.tensor, input.activation);
  return input;
}

// Seconds of `times` calls of `run`, waited for.
double SecondsOfCalls(Ops& ops, int times, const std::function<void()>& run) {
  std::string error;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) run();
  CHECK(ops.Sync(&error)) << error;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Median seconds of what `issue` issues, recorded where the backend records, and repeated until the
// wait at the end does not count.
double SecondsOf(Ops& ops, const std::function<void()>& issue) {
  SecondsOfCalls(ops, 1, issue);  // choices of algorithms are made outside of the recording
  const std::unique_ptr<Graph> graph = ops.Capture(issue);
  const auto run = [&] { graph != nullptr ? graph->Replay() : issue(); };
  const int times = std::clamp(static_cast<int>(kRoundS / SecondsOfCalls(ops, 1, run)), 1, 1000);
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    rounds.push_back(SecondsOfCalls(ops, times, run) / times);
  }
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  return rounds[kRounds / 2];
}

double SecondsOfProduct(const Product& product, int tokens, DType dtype, Ops& ops) {
  const bool quantized = product.input != ActivationFormat::kPlain;
  const int64_t bytes =
      product.out * product.in * static_cast<int64_t>(product.element_bytes(dtype));
  const int copies = static_cast<int>(std::clamp<int64_t>(kBeyondCaches / bytes + 1, 2, 64));
  std::vector<std::unique_ptr<Weight>> weights;
  for (int i = 0; i < copies; ++i) {
    const WeightUse use = product.head ? WeightUse::kLmHead : WeightUse::kLinear;
    weights.push_back(quantized ? MakeQuantizedWeight(ops, product, dtype, i)
                                : MakeWeight(ops, dtype, product.out, product.in, i, use));
    if (weights.back() == nullptr) return -1;
  }
  const ProductInput x = MakeInput(ops, product, *weights[0], tokens, dtype);
  const Operand out =
      MakeOperand(ops, product.head ? DType::kFloat32 : dtype, tokens, product.out, 78);
  if (!x.activation.values || !out.tensor) return -1;
  const double seconds = SecondsOf(ops, [&] {
    for (const auto& weight : weights) ops.Linear(x.activation, *weight, Tensor{}, out.tensor);
  });
  return seconds / copies;
}

// One layer's experts, tokens dealt to them evenly at random.
double SecondsOfExperts(const ModelSpec& spec, const ShardShape& shape, int tokens, DType dtype,
                        Ops& ops) {
  const int64_t hidden = spec.hidden_size, width = shape.expert_width;
  MoeParams params = {spec.moe.num_experts, spec.moe.experts_per_token};
  params.first_expert = shape.first_expert;
  params.num_local = shape.num_local_experts;
  ops.Reserve(tokens, tokens, params, shape.expert_width, spec.hidden_size, spec.vocab_size);
  std::vector<std::unique_ptr<Weight>> kept;
  MoeWeights weights;
  for (int e = 0; e < params.num_local; ++e) {
    kept.push_back(MakeWeight(ops, dtype, 2 * width, hidden, 2 * e, WeightUse::kExpert));
    kept.push_back(MakeWeight(ops, dtype, hidden, width, 2 * e + 1, WeightUse::kExpert));
    if (kept.back() == nullptr || kept[kept.size() - 2] == nullptr) return -1;
    weights.experts.push_back({kept[kept.size() - 2].get(), kept.back().get()});
  }
  const Operand x = MakeOperand(ops, dtype, tokens, hidden, 77);
  const Operand out = MakeOperand(ops, dtype, tokens, hidden, 78);
  const int64_t chosen = params.experts_per_token;
  const Operand logits = MakeOperand(ops, DType::kFloat32, tokens, params.num_experts, 79);
  const Buffer ids = ops.Allocate(tokens * chosen * 4), shares = ops.Allocate(tokens * chosen * 4);
  if (!x.tensor || !out.tensor || !logits.tensor || ids.data() == nullptr ||
      shares.data() == nullptr) {
    return -1;
  }
  const Tensor expert_ids = Tensor::Of(ids.data(), DType::kInt32, tokens, chosen);
  const Tensor expert_weights = Tensor::Of(shares.data(), DType::kFloat32, tokens, chosen);
  return SecondsOf(ops, [&] {
    ops.MoeRoute(logits.tensor, params, expert_ids, expert_weights);
    ops.MoeExperts(x.tensor, expert_ids, expert_weights, params, weights, out.tensor);
  });
}

ActivationFormat InputOf(QuantizationScheme scheme) {
  switch (scheme) {
    case QuantizationScheme::kTensor:
      return ActivationFormat::kStatic;
    case QuantizationScheme::kChannel:
      return ActivationFormat::kPerToken;
    default:
      CHECK(scheme == QuantizationScheme::kNone) << "blocks need scales that are not made here";
      return ActivationFormat::kPlain;
  }
}

}  // namespace

std::vector<Product> ProductsOf(const ModelSpec& spec, const ShardShape& shape,
                                const RankPosition& position) {
  const int64_t hidden = spec.hidden_size, heads = int64_t{shape.num_heads} * spec.head_dim;
  const int64_t kv_heads = int64_t{shape.num_kv_heads} * spec.head_dim;
  const int layers = position.end_layer - position.first_layer;
  int moe_layers = 0;
  for (int layer = position.first_layer; layer < position.end_layer; ++layer) {
    moe_layers += spec.LayerIsMoe(layer);
  }
  const ActivationFormat input = InputOf(spec.quantization.scheme);
  std::vector<Product> products = {{"qkv", heads + 2 * kv_heads, hidden, layers, false, input},
                                   {"o", hidden, heads, layers, false, input}};
  const auto add_mlp = [&](const std::string& name, int64_t width, int count) {
    if (width == 0 || count == 0) return;
    products.push_back({name + "gate_up", 2 * width, hidden, count, false, input});
    products.push_back({name + "down", hidden, width, count, false, input});
  };
  add_mlp("", shape.ffn_width, layers - moe_layers);
  add_mlp("shared ", shape.shared_width, moe_layers);
  if (moe_layers > 0) products.push_back({"router", spec.moe.num_experts, hidden, moe_layers});
  if (position.last_stage) products.push_back({"lm_head", shape.vocab_rows, hidden, 1, true});
  return products;
}

ExpertWork ExpertsOf(const ModelSpec& spec, const ShardShape& shape, const RankPosition& position,
                     int tokens, DType dtype) {
  ExpertWork work;
  for (int layer = position.first_layer; layer < position.end_layer; ++layer) {
    work.layers += spec.LayerIsMoe(layer);
  }
  if (work.layers == 0) return work;
  const double elements = 3.0 * shape.expert_width * spec.hidden_size;  // of one expert
  const double share = 1.0 * spec.moe.experts_per_token / spec.moe.num_experts;
  const double touched = shape.num_local_experts * (1 - std::pow(1 - share, tokens));
  work.bytes = work.layers * touched * elements * SizeOf(dtype);
  work.operations = work.layers * 2.0 * elements * tokens * share * shape.num_local_experts;
  return work;
}

double FloorSeconds(const std::vector<Product>& products, const ExpertWork& experts, int tokens,
                    int drawn, double kv_bytes, DType dtype, const DeviceRates& rates) {
  const auto floor_of = [&](double bytes, double operations, double operations_s) {
    return std::max(bytes / rates.read_bytes, operations / operations_s);
  };
  double seconds = kv_bytes / rates.read_bytes +
                   floor_of(experts.bytes, experts.operations, rates.bf16_operations);
  for (const Product& product : products) {
    const double elements = 1.0 * product.out * product.in;
    const bool plain = product.input == ActivationFormat::kPlain;
    const int rows = product.head ? drawn : tokens;
    seconds +=
        product.count * floor_of(elements * product.element_bytes(dtype), 2.0 * elements * rows,
                                 plain ? rates.bf16_operations : rates.fp8_operations);
  }
  return seconds;
}

double ReferenceSeconds(const std::vector<Product>& products, const ModelSpec& spec,
                        const ShardShape& shape, const ExpertWork& experts, int tokens, int drawn,
                        DType dtype, Ops& ops) {
  ops.Reserve(tokens, tokens, {}, 0, spec.hidden_size, spec.vocab_size);
  double seconds = 0;
  for (const Product& product : products) {
    const double one = SecondsOfProduct(product, product.head ? drawn : tokens, dtype, ops);
    if (one < 0) return -1;
    seconds += product.count * one;
  }
  if (experts.layers == 0) return seconds;
  const double one = SecondsOfExperts(spec, shape, tokens, dtype, ops);
  return one < 0 ? -1 : seconds + experts.layers * one;
}

}  // namespace regatta
