// A whole model's checkpoint by its headers: what is refused, and that good ones pass.
#include "common/checkpoint/checkpoint_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/testing/models.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

constexpr char kUp[] = "model.layers.1.mlp.up_proj.weight";

ModelSpec SmallSpec() {
  ModelSpec spec;
  spec.architecture = "LlamaForCausalLM";
  spec.vocab_size = 24;
  spec.hidden_size = 16;
  spec.num_layers = 2;
  spec.num_heads = 4;
  spec.num_kv_heads = 2;
  spec.head_dim = 4;
  spec.ffn_width = 20;
  return spec;
}

// Every tensor of `spec` in BF16.
std::vector<TensorToWrite> TensorsOf(const ModelSpec& spec) {
  const Layout one_rank = *MakeLayout(1, 1, 1, 1);
  std::vector<TensorToWrite> tensors;
  for (const TensorInfo& tensor :
       TensorTable(spec).NeededBy(one_rank, PositionOf(spec, one_rank, 0))) {
    std::vector<int64_t> shape = {tensor.rows};
    if (!tensor.is_vector) shape.push_back(tensor.columns);
    tensors.push_back(
        {tensor.name, "BF16", shape, std::string(2 * tensor.rows * tensor.columns, 0)});
  }
  return tensors;
}

TensorToWrite& Named(std::vector<TensorToWrite>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const TensorToWrite& tensor) { return tensor.name == name; });
}

absl::Status Check(const std::string& file, const ModelSpec& spec) {
  const TempDir dir;
  dir.Write("model.safetensors", file);
  return CheckCheckpoint(dir.path(), spec);
}

absl::Status Check(const std::vector<TensorToWrite>& tensors, const ModelSpec& spec = SmallSpec()) {
  return Check(Safetensors(tensors), spec);
}

TEST(CheckpointCheckTest, TheBundledModelsPass) {
  for (const char* name : {"regatta-dense", "regatta-moe"}) {
    const std::string path = absl::StrCat(REGATTA_SOURCE_DIR, "/tests/models/", name);
    const auto spec = LoadModelSpec(path);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const absl::Status status = CheckCheckpoint(path, *spec);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(CheckpointCheckTest, AWholeModelPassesAndHarmlessTensorsBesideIt) {
  std::vector<TensorToWrite> tensors = TensorsOf(SmallSpec());
  EXPECT_TRUE(Check(tensors).ok()) << Check(tensors);
  for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq",
                           "model.layers.0.self_attn.k_scale", "v_head.summary.weight"}) {
    tensors.push_back({name, "F32", {2}, std::string(8, 0)});
  }
  EXPECT_TRUE(Check(tensors).ok()) << Check(tensors);
}

TEST(CheckpointCheckTest, AModelOfAnotherShapeIsNoPartOfThisOne) {
  ModelSpec deeper = SmallSpec();
  ++deeper.num_layers;
  const absl::Status surplus = Check(TensorsOf(deeper));
  EXPECT_EQ(surplus.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(surplus.message(),
              HasSubstr(absl::StrCat(" tensors that config.json, of ", SmallSpec().num_layers,
                                     " layers, has no use for: model.layers.",
                                     SmallSpec().num_layers, ".")));
  std::vector<TensorToWrite> biased = TensorsOf(SmallSpec());
  biased.push_back({"model.layers.0.self_attn.o_proj.bias", "BF16", {16}, std::string(32, 0)});
  EXPECT_THAT(Check(biased).message(), HasSubstr("model.layers.0.self_attn.o_proj.bias"));
}

TEST(CheckpointCheckTest, BrokenFilesAreNamedWithWhatIsWrong) {
  const std::string whole = Safetensors(TensorsOf(SmallSpec()));
  const absl::Status truncated = Check(whole.substr(0, whole.size() - 100), SmallSpec());
  EXPECT_EQ(truncated.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(truncated.message(), HasSubstr("model.safetensors is truncated: tensors need "));
  const absl::Status oversized = Check(whole + "more", SmallSpec());
  EXPECT_THAT(oversized.message(), HasSubstr("model.safetensors has 4 bytes behind its last"));
  EXPECT_THAT(Check("", SmallSpec()).message(), HasSubstr("0 bytes hold no header"));
}

TEST(CheckpointCheckTest, MissingTensorsAndShapesOfAnotherModel) {
  std::vector<TensorToWrite> tensors = TensorsOf(SmallSpec());
  const size_t all = tensors.size();
  tensors.erase(tensors.begin() + (&Named(tensors, kUp) - tensors.data()));
  const absl::Status missing = Check(tensors);
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(absl::StrCat(" lacks 1 of ", all, " tensors: ", kUp)));

  ModelSpec wider = SmallSpec();
  wider.ffn_width = 40;
  const absl::Status shape = Check(TensorsOf(SmallSpec()), wider);
  EXPECT_EQ(shape.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(shape.message(), HasSubstr("has shape [20, 16]; config.json asks for [40, 16]"));
}

TEST(CheckpointCheckTest, QuantisedMatricesNeedTheirScales) {
  ModelSpec spec = SmallSpec();
  spec.quantization.scheme = QuantizationScheme::kTensor;
  spec.quantization.scale_name = "weight_scale";
  std::vector<TensorToWrite> tensors = TensorsOf(spec);
  TensorToWrite& up = Named(tensors, kUp);
  up.dtype = "F8_E4M3";
  up.bytes.resize(up.bytes.size() / 2);
  EXPECT_THAT(Check(tensors, SmallSpec()).message(),
              HasSubstr(absl::StrCat(kUp, " has dtype F8_E4M3; F32, BF16 and F16 are read")));
  const std::string module = "model.layers.1.mlp.up_proj.";
  EXPECT_THAT(Check(tensors, spec).message(), HasSubstr("lacks " + module + "weight_scale"));
  tensors.push_back({module + "weight_scale", "F32", {3}, std::string(12, 0)});
  EXPECT_THAT(Check(tensors, spec).message(), HasSubstr("has 3 scales"));
  tensors.back() = {module + "weight_scale", "I32", {1}, std::string(4, 0)};
  EXPECT_THAT(Check(tensors, spec).message(), HasSubstr("has dtype I32"));
  tensors.back() = {module + "weight_scale", "F32", {1}, std::string(4, 0)};
  EXPECT_THAT(Check(tensors, spec).message(), HasSubstr("lacks " + module + "input_scale"));
  tensors.push_back({module + "input_scale", "F32", {}, std::string(4, 0)});
  EXPECT_TRUE(Check(tensors, spec).ok()) << Check(tensors, spec);
}

TEST(CheckpointCheckTest, ShardsThatAreNotThere) {
  const TempDir dir;
  dir.Write("model.safetensors.index.json",
            R"({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  dir.Write("one.safetensors", Safetensors({{"a", "F32", {1}, std::string(4, 0)}}));
  const absl::Status status = CheckCheckpoint(dir.path(), SmallSpec());
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("lacks 1 of 2 shards: two.safetensors"));
}

}  // namespace
}  // namespace regatta
