// Quantised checkpoints of every scheme: each rank's matrices, read back through products with unit
// vectors, are the checkpoint's numbers times its scales; and what is wrong with one is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kernels/dtype.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_dir.h"
#include "worker/weights/dummy_weights.h"
#include "worker/weights/weights.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;
using Scheme = QuantizationScheme;

constexpr float kInputScale = 0.25f;

// Whole blocks on two ranks.
ModelSpec SpecOf(Scheme scheme, bool experts) {
  ModelSpec spec;
  spec.architecture = experts ? "MixtralForCausalLM" : "LlamaForCausalLM";
  spec.vocab_size = 32;
  spec.hidden_size = 256;
  spec.num_layers = 2;
  spec.num_heads = 4;
  spec.num_kv_heads = 4;
  spec.head_dim = 64;
  spec.torch_dtype = "bfloat16";
  if (experts) {
    spec.moe.num_experts = 2;
    spec.moe.experts_per_token = 1;
    spec.moe.expert_width = 256;
  } else {
    spec.ffn_width = 256;
  }
  spec.quantization.scheme = scheme;
  spec.quantization.scale_name = scheme == Scheme::kBlock ? "weight_scale_inv" : "weight_scale";
  return spec;
}

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A checkpoint in memory, and what its quantised matrices stand for.
struct TestCheckpoint {
  std::vector<TensorToWrite> tensors;
  std::map<std::string, std::vector<float>> numbers;
  std::map<std::string, std::vector<float>> scales;

  TensorToWrite& Named(const std::string& name) {
    for (TensorToWrite& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    ADD_FAILURE() << name;
    return tensors.front();
  }
  void Drop(const std::string& name) {
    std::erase_if(tensors, [&](const TensorToWrite& tensor) { return tensor.name == name; });
  }
};

void AddQuantized(const TensorInfo& tensor, Scheme scheme, std::mt19937& random,
                  TestCheckpoint& checkpoint) {
  std::normal_distribution<float> normal(0, 50);
  std::uniform_real_distribution<float> uniform(0.5f, 1.5f);
  std::vector<Float8E4M3> bytes;
  std::vector<float>& numbers = checkpoint.numbers[tensor.name];
  for (int64_t i = 0; i < tensor.rows * tensor.columns; ++i) {
    bytes.push_back(FromFloat<Float8E4M3>(normal(random)));
    numbers.push_back(ToFloat(bytes.back()));
  }
  std::vector<int64_t> shape;  // [] of a scale for all
  if (scheme == Scheme::kChannel) shape = {tensor.rows, 1};
  if (scheme == Scheme::kBlock) shape = {tensor.rows / kScaleBlock, tensor.columns / kScaleBlock};
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  std::vector<float>& scales = checkpoint.scales[tensor.name];
  for (int64_t i = 0; i < count; ++i) scales.push_back(uniform(random));
  const std::string module(absl::StripSuffix(tensor.name, "weight"));
  const std::string suffix = scheme == Scheme::kBlock ? "weight_scale_inv" : "weight_scale";
  checkpoint.tensors.push_back(
      {tensor.name, "F8_E4M3", {tensor.rows, tensor.columns}, BytesOf(bytes)});
  checkpoint.tensors.push_back({module + suffix, "F32", shape, BytesOf(scales)});
  if (scheme == Scheme::kTensor) {
    checkpoint.tensors.push_back(
        {module + "input_scale", "F32", {}, BytesOf(std::vector<float>{kInputScale})});
  }
}

TestCheckpoint MakeCheckpoint(const ModelSpec& spec) {
  const Layout one = *MakeLayout(1, 1, 1, 1);
  std::mt19937 random(7);
  TestCheckpoint checkpoint;
  for (const TensorInfo& tensor : TensorTable(spec).NeededBy(one, PositionOf(spec, one, 0))) {
    if (IsQuantizable(tensor.role)) {
      AddQuantized(tensor, spec.quantization.scheme, random, checkpoint);
      continue;
    }
    std::vector<int64_t> shape = {tensor.rows};
    if (!tensor.is_vector) shape.push_back(tensor.columns);
    checkpoint.tensors.push_back(
        {tensor.name, "F32", shape, BytesOf(std::vector<float>(tensor.rows * tensor.columns, 1))});
  }
  return checkpoint;
}

absl::StatusOr<ShardWeights> Load(const TestCheckpoint& checkpoint, const ModelSpec& spec,
                                  const Layout& layout, uint32_t rank, Ops& ops) {
  const TempDir dir;
  dir.Write("model.safetensors", Safetensors(checkpoint.tensors));
  ModelSource source;
  source.set_path(dir.path());
  return LoadWeights(source, spec, layout, PositionOf(spec, layout, rank), ops, nullptr);
}

// What a weight's products see of it, [out, in]: inputs are unit vectors.
std::vector<float> ReadBack(Ops& ops, const Weight& weight) {
  const int64_t in = weight.in_features, out = weight.out_features;
  std::vector<Float8E4M3> units(in * in, FromFloat<Float8E4M3>(0.0f));
  for (int64_t k = 0; k < in; ++k) units[k * in + k] = FromFloat<Float8E4M3>(1.0f);
  const int64_t groups =
      weight.input == ActivationFormat::kPerGroup ? (in + kScaleGroup - 1) / kScaleGroup : 1;
  std::vector<float> ones(groups * in, 1.0f), product(in * out), read(out * in);
  const bool is_static = weight.input == ActivationFormat::kStatic;
  const Activation x = {
      Tensor::Of(units.data(), DType::kFloat8E4M3, in, in),
      is_static ? weight.input_scale : Tensor::Of(ones.data(), DType::kFloat32, groups, in)};
  ops.Reserve(static_cast<int>(in), 1, {}, 0, 1, 1);
  ops.Linear(x, weight, Tensor{}, Tensor::Of(product.data(), DType::kFloat32, in, out));
  const float scale = is_static ? *weight.input_scale.as<float>() : 1.0f;
  EXPECT_EQ(scale, is_static ? kInputScale : 1.0f);
  for (int64_t k = 0; k < in; ++k) {
    for (int64_t n = 0; n < out; ++n) read[n * in + k] = product[k * out + n] / scale;
  }
  return read;
}

// What the parts of a fused matrix should become on one rank.
std::vector<float> Expected(const TestCheckpoint& checkpoint, const ModelSpec& spec,
                            const Layout& layout, const RankPosition& position,
                            const std::vector<WeightRole>& roles, int layer) {
  const TensorTable table(spec);
  float largest = 0;
  for (const WeightRole role : roles) {
    largest = std::max(largest, checkpoint.scales.at(table.Find(role, layer).name)[0]);
  }
  std::vector<float> want;
  for (const WeightRole role : roles) {
    const TensorInfo tensor = table.Find(role, layer);
    const std::vector<float>& numbers = checkpoint.numbers.at(tensor.name);
    const std::vector<float>& scales = checkpoint.scales.at(tensor.name);
    const Slice slice = table.SliceFor(tensor, layout, position);
    for (int64_t r = slice.first_row; r < slice.first_row + slice.rows; ++r) {
      for (int64_t c = slice.first_column; c < slice.first_column + slice.columns; ++c) {
        const float number = numbers[r * tensor.columns + c];
        switch (spec.quantization.scheme) {
          case Scheme::kTensor:  // under the largest scale of the parts
            want.push_back(ToFloat(FromFloat<Float8E4M3>(number * (scales[0] / largest))) *
                           largest);
            break;
          case Scheme::kChannel:
            want.push_back(number * scales[r]);
            break;
          default:
            want.push_back(
                number *
                scales[r / kScaleBlock * (tensor.columns / kScaleBlock) + c / kScaleBlock]);
        }
      }
    }
  }
  return want;
}

std::string SchemeName(const ::testing::TestParamInfo<Scheme>& info) {
  constexpr const char* kNames[] = {"none", "tensor", "channel", "block"};
  return kNames[static_cast<int>(info.param)];
}

class QuantizedWeights : public ::testing::TestWithParam<Scheme> {};
INSTANTIATE_TEST_SUITE_P(Schemes, QuantizedWeights,
                         ::testing::Values(Scheme::kTensor, Scheme::kChannel, Scheme::kBlock),
                         SchemeName);

TEST_P(QuantizedWeights, EveryRankHoldsNumbersTimesScales) {
  const ModelSpec spec = SpecOf(GetParam(), /*experts=*/false);
  const TestCheckpoint checkpoint = MakeCheckpoint(spec);
  const std::unique_ptr<Ops> ops = MakeCpuOps(2);
  for (const auto& [tp, pp] : std::vector<std::pair<uint32_t, uint32_t>>{{1, 1}, {2, 1}, {2, 2}}) {
    const Layout layout = *MakeLayout(tp, pp, 1, 1);
    for (uint32_t rank = 0; rank < tp * pp; ++rank) {
      SCOPED_TRACE(absl::StrCat(LayoutName(layout), " rank ", rank));
      const auto weights = Load(checkpoint, spec, layout, rank, *ops);
      ASSERT_TRUE(weights.ok()) << weights.status();
      EXPECT_TRUE(weights->quantized);
      const RankPosition position = PositionOf(spec, layout, rank);
      const LayerWeights& layer = weights->layers.back();
      const auto check = [&](const Weight& weight, const std::vector<WeightRole>& roles) {
        const std::vector<float> want =
            Expected(checkpoint, spec, layout, position, roles, position.end_layer - 1);
        const std::vector<float> got = ReadBack(*ops, weight);
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < got.size(); ++i) ASSERT_FLOAT_EQ(got[i], want[i]) << i;
      };
      check(*layer.qkv, {WeightRole::kQ, WeightRole::kK, WeightRole::kV});
      check(*layer.o, {WeightRole::kO});
      check(*layer.mlp.gate_up, {WeightRole::kGate, WeightRole::kUp});
      check(*layer.mlp.down, {WeightRole::kDown});
    }
  }
}

// An expert keeps taking plain inputs.
TEST_P(QuantizedWeights, ExpertsUnpackOnTheWay) {
  const ModelSpec spec = SpecOf(GetParam(), /*experts=*/true);
  const TestCheckpoint checkpoint = MakeCheckpoint(spec);
  const std::unique_ptr<Ops> ops = MakeCpuOps(2);
  const auto weights = Load(checkpoint, spec, *MakeLayout(2, 1, 1, 1), 1, *ops);
  ASSERT_TRUE(weights.ok()) << weights.status();
  const LayerWeights& layer = weights->layers[0];
  EXPECT_EQ(layer.router->input, ActivationFormat::kPlain);
  ASSERT_EQ(layer.experts.size(), 2u);
  for (const ExpertWeights& expert : layer.experts) {
    EXPECT_EQ(expert.gate_up->input, ActivationFormat::kPlain);
    EXPECT_EQ(expert.down->in_features, 128);
  }
}

TEST_P(QuantizedWeights, WhatIsWrongIsNamed) {
  const ModelSpec spec = SpecOf(GetParam(), /*experts=*/false);
  const TestCheckpoint good = MakeCheckpoint(spec);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  const std::string module = "model.layers.1.self_attn.k_proj.";
  const std::string scale = module + spec.quantization.scale_name;
  const auto error = [&](const TestCheckpoint& checkpoint) {
    return Load(checkpoint, spec, *MakeLayout(1, 1, 1, 1), 0, *ops).status();
  };
  TestCheckpoint broken = good;
  broken.Drop(scale);
  EXPECT_EQ(error(broken).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(error(broken).message(), HasSubstr("lacks " + scale));

  broken = good;
  broken.Named(scale) = {scale, "F32", {3}, std::string(12, '\0')};
  EXPECT_EQ(error(broken).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(error(broken).message(), HasSubstr(scale + " has 3 scales"));

  broken = good;
  broken.Named(scale).bytes.replace(0, 4, BytesOf(std::vector<float>{-2}));
  EXPECT_EQ(error(broken).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(error(broken).message(), HasSubstr(scale + " holds -2"));

  broken = good;
  broken.Named(scale).dtype = "I32";
  EXPECT_EQ(error(broken).code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(error(broken).message(), HasSubstr(scale + " has dtype I32"));

  broken = good;  // one part of a fused matrix as it was before quantisation
  TensorToWrite& key = broken.Named(module + "weight");
  key.dtype = "F32";
  key.bytes = std::string(key.bytes.size() * 4, '\0');
  EXPECT_EQ(error(broken).code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(error(broken).message(), HasSubstr("only one is quantised"));
}

// A module that the quantiser left out is stored plain, and stays so.
TEST_P(QuantizedWeights, ExcludedModulesArePlain) {
  const ModelSpec spec = SpecOf(GetParam(), /*experts=*/false);
  TestCheckpoint checkpoint = MakeCheckpoint(spec);
  TensorToWrite& o = checkpoint.Named("model.layers.0.self_attn.o_proj.weight");
  o.dtype = "F32";
  o.bytes = std::string(o.bytes.size() * 4, '\0');
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  const auto weights = Load(checkpoint, spec, *MakeLayout(1, 1, 1, 1), 0, *ops);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->layers[0].o->input, ActivationFormat::kPlain);
  EXPECT_NE(weights->layers[1].o->input, ActivationFormat::kPlain);
}

TEST(QuantizedWeightsTest, ScalesOfTheCacheInBothSpellings) {
  const ModelSpec spec = SpecOf(Scheme::kTensor, /*experts=*/false);
  TestCheckpoint checkpoint = MakeCheckpoint(spec);
  const auto add = [&](const std::string& name, float value) {
    checkpoint.tensors.push_back({name, "F32", {1}, BytesOf(std::vector<float>{value})});
  };
  add("model.layers.0.self_attn.k_proj.k_scale", 0.5f);
  add("model.layers.0.self_attn.v_scale", 2.5f);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  const auto weights = Load(checkpoint, spec, *MakeLayout(1, 1, 1, 1), 0, *ops);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->layers[0].k_scale, 0.5f);
  EXPECT_EQ(weights->layers[0].v_scale, 2.5f);
  EXPECT_EQ(weights->layers[1].k_scale, 1.0f);
}

TEST(QuantizedWeightsTest, OnlineQuantisationLeavesTheHeadAlone) {
  ModelSpec spec = SpecOf(Scheme::kNone, /*experts=*/false);
  ModelSource source;
  source.set_dummy_weights(true);
  source.set_quantization("fp8");
  source.set_dtype("bfloat16");
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  const Layout layout = *MakeLayout(1, 1, 1, 1);
  const auto weights =
      LoadWeights(source, spec, layout, PositionOf(spec, layout, 0), *ops, nullptr);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->lm_head->input, ActivationFormat::kPlain);
  for (const Weight* weight : {weights->layers[0].qkv.get(), weights->layers[1].mlp.down.get()}) {
    EXPECT_EQ(weight->input, ActivationFormat::kPerToken);
  }
  const int64_t small = spec.NumQuantizableParameters();
  EXPECT_EQ(weights->num_bytes, static_cast<uint64_t>(2 * spec.NumParameters() - small));
}

TEST(QuantizedWeightsTest, StaticDummiesAreTheSameModelInEveryLayout) {
  const ModelSpec spec = SpecOf(Scheme::kNone, /*experts=*/false);
  ModelSource source;
  source.set_dummy_weights(true);
  source.set_quantization("fp8_static");
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  const auto down_of = [&](uint32_t tp, uint32_t rank) {
    const Layout layout = *MakeLayout(tp, 1, 1, 1);
    auto weights = LoadWeights(source, spec, layout, PositionOf(spec, layout, rank), *ops, nullptr);
    EXPECT_TRUE(weights.ok()) << weights.status();
    const Weight& down = *weights->layers[1].mlp.down;
    EXPECT_EQ(down.input, ActivationFormat::kStatic);
    std::vector<Float8E4M3> x(down.in_features, FromFloat<Float8E4M3>(0.0f));
    x[5] = FromFloat<Float8E4M3>(1.0f);
    std::vector<float> column(down.out_features);
    ops->Reserve(1, 1, {}, 0, 1, 1);
    ops->Linear({Tensor::Of(x.data(), DType::kFloat8E4M3, 1, down.in_features), down.input_scale},
                down, Tensor{}, Tensor::Of(column.data(), DType::kFloat32, 1, down.out_features));
    return column;
  };
  EXPECT_EQ(down_of(1, 0), down_of(2, 0));
  EXPECT_NE(down_of(2, 1), down_of(2, 0));
}

}  // namespace
}  // namespace regatta
