// Every rank of every layout against the whole model, sliced here by plain formulas; and refusals.
#include "worker/weights/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/tensor_table.h"
#include "kernels/dtype.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_dir.h"
#include "worker/weights/dummy_weights.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;
using Matrix = std::vector<std::vector<float>>;
using WholeModel = std::map<std::string, Matrix>;  // vectors have one column

ModelSpec DenseSpec() {
  ModelSpec spec;
  spec.architecture = "Qwen3ForCausalLM";
  spec.vocab_size = 64;
  spec.hidden_size = 32;
  spec.num_layers = 3;
  spec.num_heads = 8;
  spec.num_kv_heads = 2;
  spec.head_dim = 8;
  spec.ffn_width = 48;
  spec.qkv_bias = true;
  spec.qk_norm = true;
  spec.torch_dtype = "bfloat16";
  return spec;
}

ModelSpec MixtralSpec() {
  ModelSpec spec = DenseSpec();
  spec.architecture = "MixtralForCausalLM";
  spec.num_kv_heads = 4;
  spec.ffn_width = 0;
  spec.qkv_bias = spec.qk_norm = false;
  spec.moe.num_experts = 4;
  spec.moe.experts_per_token = 2;
  spec.moe.expert_width = 16;
  return spec;
}

ModelSpec QwenMoeSpec() {
  ModelSpec spec = MixtralSpec();
  spec.architecture = "Qwen2MoeForCausalLM";
  spec.ffn_width = 48;
  spec.qkv_bias = true;
  spec.tie_embeddings = true;
  spec.moe.shared_expert_width = 24;
  spec.moe.shared_expert_gate = true;
  spec.moe.dense_layer = {true, false, false};
  return spec;
}

std::vector<TensorInfo> AllTensors(const ModelSpec& spec) {
  const Layout one = *MakeLayout(1, 1, 1, 1);
  std::map<std::string, TensorInfo> by_name;
  for (const TensorInfo& tensor : TensorTable(spec).NeededBy(one, PositionOf(spec, one, 0))) {
    by_name[tensor.name] = tensor;
  }
  std::vector<TensorInfo> tensors;
  for (auto& [name, tensor] : by_name) tensors.push_back(tensor);
  return tensors;
}

// Values that every float type holds exactly, different from place to place and name to name.
WholeModel CountingModel(const ModelSpec& spec) {
  WholeModel model;
  for (const TensorInfo& tensor : AllTensors(spec)) {
    uint64_t state = std::hash<std::string>()(tensor.name);
    Matrix& matrix = model[tensor.name];
    matrix.assign(tensor.rows, std::vector<float>(tensor.columns));
    for (auto& row : matrix) {
      for (float& value : row) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = static_cast<float>(static_cast<int>(state >> 40) % 251 - 125) / 16;
      }
    }
  }
  return model;
}

WholeModel DummyModel(const ModelSpec& spec, uint64_t seed, double router_skew = 0) {
  const std::unique_ptr<TensorSource> source =
      MakeDummySource({seed, router_skew, spec.moe.experts_per_token});
  WholeModel model;
  for (const TensorInfo& tensor : AllTensors(spec)) {
    std::vector<float> flat(tensor.rows * tensor.columns);
    source->Read(tensor, {0, tensor.rows, 0, tensor.columns},
                 Tensor::Of(flat.data(), DType::kFloat32, tensor.rows, tensor.columns));
    Matrix& matrix = model[tensor.name];
    for (int64_t row = 0; row < tensor.rows; ++row) {
      const auto begin = flat.begin() + row * tensor.columns;
      matrix.emplace_back(begin, begin + tensor.columns);
    }
  }
  return model;
}

template <typename T>
std::string BytesOf(const Matrix& matrix) {
  std::string bytes;
  for (const auto& row : matrix) {
    for (float value : row) {
      const T stored = FromFloat<T>(value);
      bytes.append(reinterpret_cast<const char*>(&stored), sizeof(stored));
    }
  }
  return bytes;
}

TensorToWrite ToWrite(const TensorInfo& tensor, const Matrix& matrix, int dtype) {
  TensorToWrite written = {tensor.name, "F32", {tensor.rows}, ""};
  if (!tensor.is_vector) written.shape.push_back(tensor.columns);
  if (dtype == 0) {
    written.bytes = BytesOf<float>(matrix);
  } else if (dtype == 1) {
    written.dtype = "BF16";
    written.bytes = BytesOf<BFloat16>(matrix);
  } else {
    written.dtype = "F16";
    written.bytes = BytesOf<Float16>(matrix);
  }
  return written;
}

std::vector<TensorToWrite> TensorsToWrite(const ModelSpec& spec) {
  const WholeModel model = CountingModel(spec);
  std::vector<TensorToWrite> written;
  int dtype = 0;
  for (const TensorInfo& tensor : AllTensors(spec)) {
    written.push_back(ToWrite(tensor, model.at(tensor.name), dtype++ % 3));
  }
  return written;
}

// Three dtypes in two shards, one of which starts its data at an odd byte.
void WriteCheckpoint(const TempDir& dir, const ModelSpec& spec) {
  std::vector<TensorToWrite> shards[2];
  nlohmann::json weight_map;
  for (TensorToWrite& tensor : TensorsToWrite(spec)) {
    const int shard = static_cast<int>(weight_map.size() % 2);
    weight_map[tensor.name] = absl::StrCat(shard, ".safetensors");
    shards[shard].push_back(std::move(tensor));
  }
  dir.Write("0.safetensors", Safetensors(shards[0]));
  dir.Write("1.safetensors", Safetensors(shards[1], /*offset=*/5));
  dir.Write("model.safetensors.index.json", nlohmann::json{{"weight_map", weight_map}}.dump());
}

// A prepared matrix read back exactly: x W^T with x the unit matrix.
Matrix ReadBack(Ops& ops, const Weight& weight) {
  const int64_t in = weight.in_features, out = weight.out_features;
  std::vector<float> unit(in * in), product(in * out);
  for (int64_t i = 0; i < in; ++i) unit[i * in + i] = 1;
  ops.Linear(Tensor::Of(unit.data(), DType::kFloat32, in, in), weight, {},
             Tensor::Of(product.data(), DType::kFloat32, in, out));
  Matrix matrix(out, std::vector<float>(in));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) matrix[o][i] = product[i * out + o];
  }
  return matrix;
}

Matrix ReadBack(Ops& ops, const DeviceTensor& device) {
  const Tensor& tensor = device.tensor;
  EXPECT_EQ(tensor.dtype, DType::kFloat32);
  const int64_t columns = tensor.rank == 2 ? tensor.dim(1) : 1;
  std::vector<float> flat(tensor.num_elements());
  ops.CopyToHost(flat.data(), tensor.data, tensor.num_bytes());
  Matrix matrix;
  for (int64_t row = 0; row < tensor.dim(0); ++row) {
    matrix.emplace_back(flat.begin() + row * columns, flat.begin() + (row + 1) * columns);
  }
  return matrix;
}

Matrix Rows(const Matrix& matrix, int first, int count) {
  return {matrix.begin() + first, matrix.begin() + first + count};
}

Matrix Columns(const Matrix& matrix, int first, int count) {
  Matrix result;
  for (const auto& row : matrix) {
    result.emplace_back(row.begin() + first, row.begin() + first + count);
  }
  return result;
}

Matrix operator+(Matrix a, const Matrix& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// What one rank must hold, from the whole model by the definitions of attention heads and MLPs.
class ShardChecker {
 public:
  ShardChecker(const ModelSpec& spec, const Layout& layout, uint32_t rank, const WholeModel& whole,
               Ops& ops)
      : spec_(spec),
        tp_(layout.attention_tp()),
        expert_tp_(layout.expert_tp()),
        ep_(layout.expert_ep()),
        position_(PositionOf(spec, layout, rank)),
        whole_(whole),
        ops_(ops) {}

  void Check(const ShardWeights& weights) const {
    const int vocab = spec_.vocab_size / tp_;
    const int first = static_cast<int>(position_.tp_rank) * vocab;
    EXPECT_EQ(weights.shape.first_vocab_row, first);
    EXPECT_EQ(weights.shape.vocab_rows, vocab);
    if (position_.first_stage) {
      Expect(weights.embedding, Rows(whole_.at("model.embed_tokens.weight"), first, vocab));
    }
    ASSERT_EQ(weights.layers.size(), position_.end_layer - position_.first_layer);
    for (int layer = position_.first_layer; layer < position_.end_layer; ++layer) {
      CheckLayer(weights.layers[layer - position_.first_layer], layer);
    }
    if (position_.last_stage) {
      Expect(weights.final_norm, whole_.at("model.norm.weight"));
      const char* head = spec_.tie_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
      Expect(weights.lm_head, Rows(whole_.at(head), first, vocab));
    }
  }

 private:
  void CheckLayer(const LayerWeights& layer, int index) const {
    const std::string prefix = absl::StrCat("model.layers.", index, ".");
    const auto whole = [&](const std::string& name) { return whole_.at(prefix + name); };
    Expect(layer.input_norm, whole("input_layernorm.weight"));
    Expect(layer.post_attention_norm, whole("post_attention_layernorm.weight"));
    const auto fused = [&](const std::string& suffix) {
      return QueryRows(whole("self_attn.q_proj" + suffix)) +
             KeyRows(whole("self_attn.k_proj" + suffix)) +
             KeyRows(whole("self_attn.v_proj" + suffix));
    };
    Expect(layer.qkv, fused(".weight"));
    if (spec_.qkv_bias) Expect(layer.qkv_bias, fused(".bias"));
    EXPECT_EQ(spec_.qkv_bias, bool{layer.qkv_bias.tensor});
    if (spec_.qk_norm) {
      Expect(layer.q_norm, whole("self_attn.q_norm.weight"));
      Expect(layer.k_norm, whole("self_attn.k_norm.weight"));
    }
    const int heads = spec_.num_heads / tp_ * spec_.head_dim;
    Expect(layer.o, Columns(whole("self_attn.o_proj.weight"), position_.tp_rank * heads, heads));
    if (!spec_.LayerIsMoe(index)) {
      ExpectMlp(layer.mlp, prefix + "mlp.", {"gate_proj", "up_proj", "down_proj"}, tp_,
                position_.tp_rank);
      EXPECT_EQ(layer.router, nullptr);
      return;
    }
    const bool mixtral = spec_.architecture == "MixtralForCausalLM";
    const std::string moe = prefix + (mixtral ? "block_sparse_moe." : "mlp.");
    Expect(layer.router, whole_.at(moe + "gate.weight"));
    const int count = spec_.moe.num_experts / ep_;
    ASSERT_EQ(layer.experts.size(), count);
    for (int i = 0; i < count; ++i) {
      const std::string expert =
          absl::StrCat(moe, "experts.", static_cast<int>(position_.ep_rank) * count + i, ".");
      const std::vector<std::string> names =
          mixtral ? std::vector<std::string>{"w1", "w3", "w2"}
                  : std::vector<std::string>{"gate_proj", "up_proj", "down_proj"};
      ExpectMlp(layer.experts[i], expert, names, expert_tp_, position_.expert_tp_rank);
    }
    if (spec_.moe.shared_expert_width == 0) return;
    ExpectMlp(layer.shared, prefix + "mlp.shared_expert.", {"gate_proj", "up_proj", "down_proj"},
              tp_, position_.tp_rank);
    Expect(layer.shared_gate, whole("mlp.shared_expert_gate.weight"));
  }

  Matrix QueryRows(const Matrix& q) const {
    const int rows = spec_.num_heads / tp_ * spec_.head_dim;
    return Rows(q, static_cast<int>(position_.tp_rank) * rows, rows);
  }

  // The KV heads that this rank's query heads attend with, once each.
  Matrix KeyRows(const Matrix& k) const {
    const int per_rank = spec_.num_heads / tp_;
    const int first = static_cast<int>(position_.tp_rank) * per_rank;
    Matrix rows;
    int previous = -1;
    for (int head = first; head < first + per_rank; ++head) {
      const int kv_head = head / (spec_.num_heads / spec_.num_kv_heads);
      if (kv_head != previous) rows = rows + Rows(k, kv_head * spec_.head_dim, spec_.head_dim);
      previous = kv_head;
    }
    return rows;
  }

  void ExpectMlp(const ExpertWeights& mlp, const std::string& prefix,
                 const std::vector<std::string>& names, int parts, int part) const {
    const Matrix& gate = whole_.at(prefix + names[0] + ".weight");
    const Matrix& up = whole_.at(prefix + names[1] + ".weight");
    const Matrix& down = whole_.at(prefix + names[2] + ".weight");
    const int width = static_cast<int>(gate.size()) / parts;
    Expect(mlp.gate_up, Rows(gate, part * width, width) + Rows(up, part * width, width));
    Expect(mlp.down, Columns(down, part * width, width));
  }

  void Expect(const std::unique_ptr<Weight>& weight, const Matrix& expected) const {
    ASSERT_NE(weight, nullptr);
    EXPECT_EQ(ReadBack(ops_, *weight), expected);
  }
  void Expect(const DeviceTensor& tensor, const Matrix& expected) const {
    EXPECT_EQ(ReadBack(ops_, tensor), expected);
  }

  const ModelSpec& spec_;
  const int tp_;
  const int expert_tp_;
  const int ep_;
  const RankPosition position_;
  const WholeModel& whole_;
  Ops& ops_;
};

// Every rank of every layout of up to 8 ranks.
void CheckAllLayouts(const ModelSpec& spec, const ModelSource& source, const WholeModel& whole) {
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  int checked = 0;
  for (uint32_t ranks : {1, 2, 3, 4, 8}) {
    for (const Layout& layout : ValidLayouts(spec, ranks)) {
      if (layout.copies() > 1) continue;
      for (uint32_t rank = 0; rank < ranks; ++rank) {
        SCOPED_TRACE(absl::StrCat(LayoutName(layout), " rank ", rank));
        auto weights =
            LoadWeights(source, spec, layout, PositionOf(spec, layout, rank), *ops, nullptr);
        ASSERT_TRUE(weights.ok()) << weights.status();
        ShardChecker(spec, layout, rank, whole, *ops).Check(*weights);
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 20);
}

ModelSource FromPath(const std::string& path) {
  ModelSource source;
  source.set_path(path);
  return source;
}

ModelSource Dummy(uint64_t seed) {
  ModelSource source;
  source.set_dummy_weights(true);
  source.set_dummy_seed(seed);
  return source;
}

absl::StatusOr<ShardWeights> LoadWhole(const ModelSource& source, const ModelSpec& spec,
                                       const std::function<void(double)>& progress = nullptr) {
  const Layout layout = *MakeLayout(1, 1, 1, 1);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  return LoadWeights(source, spec, layout, PositionOf(spec, layout, 0), *ops, progress);
}

TEST(WeightsTest, EveryRankOfADenseCheckpoint) {
  const TempDir dir;
  WriteCheckpoint(dir, DenseSpec());
  CheckAllLayouts(DenseSpec(), FromPath(dir.path()), CountingModel(DenseSpec()));
}

TEST(WeightsTest, EveryRankOfAMixtralCheckpoint) {
  const TempDir dir;
  WriteCheckpoint(dir, MixtralSpec());
  CheckAllLayouts(MixtralSpec(), FromPath(dir.path()), CountingModel(MixtralSpec()));
}

TEST(WeightsTest, EveryRankOfAQwenMoeCheckpoint) {
  const TempDir dir;
  WriteCheckpoint(dir, QwenMoeSpec());
  CheckAllLayouts(QwenMoeSpec(), FromPath(dir.path()), CountingModel(QwenMoeSpec()));
}

TEST(WeightsTest, DummyWeightsAreTheSameModelInEveryLayout) {
  CheckAllLayouts(DenseSpec(), Dummy(3), DummyModel(DenseSpec(), 3));
  CheckAllLayouts(QwenMoeSpec(), Dummy(4), DummyModel(QwenMoeSpec(), 4));
}

TEST(WeightsTest, SkewedRoutersAreTheSameInEveryLayoutAndTouchNothingElse) {
  ModelSpec spec = MixtralSpec();
  spec.moe.num_experts = 8;
  const WholeModel plain = DummyModel(spec, 5);
  const WholeModel skewed = DummyModel(spec, 5, /*router_skew=*/1.5);
  for (const auto& [name, matrix] : plain) {
    const bool router = name.find("block_sparse_moe.gate.") != std::string::npos;
    EXPECT_EQ(matrix != skewed.at(name), router) << name;
  }
  ModelSource source = Dummy(5);
  source.set_dummy_router_skew(1.5);
  CheckAllLayouts(spec, source, skewed);
}

TEST(WeightsTest, DummyWeightsLookTrained) {
  ModelSpec spec = DenseSpec();
  spec.hidden_size = 256;
  const WholeModel model = DummyModel(spec, 1);
  EXPECT_EQ(model.at("model.norm.weight"), Matrix(256, {1.0f}));
  double sum = 0, squares = 0, largest = 0;
  const Matrix& gate = model.at("model.layers.0.mlp.gate_proj.weight");
  for (const auto& row : gate) {
    for (double value : row) {
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::abs(value));
    }
  }
  const double n = 48 * 256;
  EXPECT_NEAR(sum / n, 0, 3.0 / 16 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 1.0 / 16, 0.002) << "1 / sqrt(columns)";
  EXPECT_GT(largest, 2.5 / 16);
  EXPECT_NE(gate, model.at("model.layers.1.mlp.gate_proj.weight"));
  EXPECT_NE(gate, DummyModel(spec, 2).at("model.layers.0.mlp.gate_proj.weight"));
}

TEST(WeightsTest, BytesAndProgress) {
  std::vector<double> progress;
  ModelSource source = Dummy(1);
  source.set_dtype("bfloat16");
  auto weights = LoadWhole(source, DenseSpec(), [&](double done) { progress.push_back(done); });
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->dtype, DType::kBFloat16);
  EXPECT_EQ(weights->embedding.tensor.dtype, DType::kBFloat16);
  EXPECT_EQ(weights->num_bytes, 2 * DenseSpec().NumParameters());
  EXPECT_TRUE(std::is_sorted(progress.begin(), progress.end()));
  EXPECT_GT(progress.front(), 0);
  EXPECT_EQ(progress.back(), 1);
}

TEST(WeightsTest, ResolvesDTypes) {
  EXPECT_EQ(*ResolveDType("auto", DenseSpec(), "cpu"), DType::kFloat32);
  EXPECT_EQ(*ResolveDType("auto", DenseSpec(), "cuda"), DType::kBFloat16);
  EXPECT_EQ(*ResolveDType("", DenseSpec(), "cuda"), DType::kBFloat16);
  EXPECT_EQ(*ResolveDType("float16", DenseSpec(), "cpu"), DType::kFloat16);
  EXPECT_THAT(ResolveDType("int3", DenseSpec(), "cpu").status().message(),
              HasSubstr("dtype int3 is not known; auto, float32"));
}

TEST(WeightsTest, TheShippedModelsLoad) {
  for (const char* name : {"regatta-dense", "regatta-moe"}) {
    const std::string path = absl::StrCat(REGATTA_SOURCE_DIR, "/tests/models/", name);
    auto spec = LoadModelSpec(path);
    ASSERT_TRUE(spec.ok()) << spec.status();
    auto weights = LoadWhole(FromPath(path), *spec);
    ASSERT_TRUE(weights.ok()) << weights.status();
    int64_t elements = spec->NumParameters();
    if (spec->tie_embeddings) elements += int64_t{spec->vocab_size} * spec->hidden_size;
    EXPECT_EQ(weights->num_bytes, 4 * elements)
        << "float32 on CPU ranks; a tied head is held twice";
  }
}

TEST(WeightsTest, ExtraTensorsAreIgnoredAndTiedHeadsToo) {
  const TempDir dir;
  std::vector<TensorToWrite> tensors = TensorsToWrite(QwenMoeSpec());
  tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {1}, "1234"});
  tensors.push_back({"lm_head.weight", "F32", {1}, "1234"});
  dir.Write("model.safetensors", Safetensors(tensors));
  EXPECT_TRUE(LoadWhole(FromPath(dir.path()), QwenMoeSpec()).ok());
}

// Loads the dense model from `tensors` and returns the error.
absl::Status ErrorOf(const std::vector<TensorToWrite>& tensors) {
  const TempDir dir;
  dir.Write("model.safetensors", Safetensors(tensors));
  const absl::Status status = LoadWhole(FromPath(dir.path()), DenseSpec()).status();
  EXPECT_FALSE(status.ok());
  return status;
}

TEST(WeightsTest, MissingTensorsAreNamed) {
  std::vector<TensorToWrite> tensors = TensorsToWrite(DenseSpec());
  const std::string name = tensors.back().name;
  tensors.pop_back();
  absl::Status status = ErrorOf(tensors);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(),
              HasSubstr(absl::StrCat(" lacks 1 of ", tensors.size() + 1, " tensors: ", name)));
  tensors.resize(1);
  EXPECT_THAT(ErrorOf(tensors).message(), HasSubstr(", ..."));
}

TEST(WeightsTest, WrongShapesAndDTypesAreNamed) {
  std::vector<TensorToWrite> tensors = TensorsToWrite(DenseSpec());
  TensorToWrite& head = tensors.front();
  ASSERT_EQ(head.name, "lm_head.weight");
  std::swap(head.shape[0], head.shape[1]);
  absl::Status status = ErrorOf(tensors);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("model.safetensors: tensor lm_head.weight has shape "
                                          "[32, 64]; config.json asks for [64, 32]"));
  head = {"lm_head.weight", "F8_E4M3", {64, 32}, std::string(64 * 32, 'x')};
  status = ErrorOf(tensors);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(status.message(), HasSubstr("tensor lm_head.weight has dtype F8_E4M3"));
}

TEST(WeightsTest, RefusesWhatItCannotDo) {
  ModelSource source = Dummy(1);
  source.set_quantization("int4");
  EXPECT_EQ(LoadWhole(source, DenseSpec()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(LoadWhole(FromPath("/nowhere"), DenseSpec()).status().code(),
            absl::StatusCode::kNotFound);
  const Layout tp3 = *MakeLayout(3, 1, 1, 1);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  EXPECT_EQ(LoadWeights(Dummy(1), DenseSpec(), tp3, RankPosition(), *ops, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace regatta
