// The table against published parameter counts and names, and its shards against the whole.
#include "common/checkpoint/tensor_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/testing/models.h"

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Not;

Layout Make(uint32_t tp, uint32_t pp = 1, uint32_t ep = 1) { return *MakeLayout(tp, pp, ep, 1); }

std::vector<std::string> NamesNeeded(const ModelSpec& spec, const Layout& layout, uint32_t rank) {
  std::vector<std::string> names;
  const RankPosition position = PositionOf(spec, layout, rank);
  for (const TensorInfo& tensor : TensorTable(spec).NeededBy(layout, position)) {
    names.push_back(tensor.name);
  }
  return names;
}

TEST(TensorTableTest, ShapesAddUpToThePublishedCounts) {
  for (const char* name :
       {"llama-3.1-8b", "llama-3.3-70b", "llama-3.2-1b", "mistral-7b-v0.1", "mixtral-8x7b",
        "qwen2.5-7b", "qwen3-8b", "qwen3-30b-a3b", "qwen1.5-moe-a2.7b"}) {
    const ModelSpec spec = PublishedModel(name);
    int64_t total = 0;
    std::map<std::string, int> seen;
    for (const TensorInfo& tensor :
         TensorTable(spec).NeededBy(Make(1), PositionOf(spec, Make(1), 0))) {
      if (seen[tensor.name]++ == 0) total += tensor.rows * tensor.columns;
    }
    EXPECT_EQ(total, spec.NumParameters()) << name;
  }
}

TEST(TensorTableTest, NamesOfTheFamilies) {
  EXPECT_THAT(NamesNeeded(PublishedModel("llama-3.1-8b"), Make(1), 0),
              AllOf(Contains("model.embed_tokens.weight"), Contains("lm_head.weight"),
                    Contains("model.layers.31.self_attn.q_proj.weight"),
                    Contains("model.layers.0.mlp.gate_proj.weight"),
                    Not(Contains("model.layers.0.self_attn.q_proj.bias"))));
  EXPECT_THAT(NamesNeeded(PublishedModel("qwen2.5-7b"), Make(1), 0),
              AllOf(Contains("model.layers.0.self_attn.q_proj.bias"),
                    Contains("model.layers.0.self_attn.v_proj.bias")));
  EXPECT_THAT(NamesNeeded(PublishedModel("qwen3-8b"), Make(1), 0),
              AllOf(Contains("model.layers.0.self_attn.q_norm.weight"),
                    Contains("model.layers.0.self_attn.k_norm.weight")));
  EXPECT_THAT(NamesNeeded(PublishedModel("mixtral-8x7b"), Make(1), 0),
              AllOf(Contains("model.layers.0.block_sparse_moe.gate.weight"),
                    Contains("model.layers.31.block_sparse_moe.experts.7.w2.weight"),
                    Not(Contains("model.layers.0.mlp.gate_proj.weight"))));
  EXPECT_THAT(NamesNeeded(PublishedModel("qwen3-30b-a3b"), Make(1), 0),
              AllOf(Contains("model.layers.0.mlp.gate.weight"),
                    Contains("model.layers.47.mlp.experts.127.down_proj.weight")));
  EXPECT_THAT(NamesNeeded(PublishedModel("qwen1.5-moe-a2.7b"), Make(1), 0),
              AllOf(Contains("model.layers.0.mlp.shared_expert.up_proj.weight"),
                    Contains("model.layers.0.mlp.shared_expert_gate.weight")));
}

TEST(TensorTableTest, MixtralsThreeMatrices) {
  const TensorTable table(PublishedModel("mixtral-8x7b"));
  EXPECT_EQ(table.Find(WeightRole::kExpertGate, 3, 5).name,
            "model.layers.3.block_sparse_moe.experts.5.w1.weight");
  EXPECT_EQ(table.Find(WeightRole::kExpertUp, 3, 5).name,
            "model.layers.3.block_sparse_moe.experts.5.w3.weight");
  EXPECT_EQ(table.Find(WeightRole::kExpertDown, 3, 5).rows, 4096);
  EXPECT_EQ(table.Find(WeightRole::kExpertDown, 3, 5).columns, 14336);
}

TEST(TensorTableTest, TiedEmbeddingsAreTheHead) {
  const ModelSpec spec = PublishedModel("llama-3.2-1b");
  EXPECT_EQ(TensorTable(spec).Find(WeightRole::kLmHead).name, "model.embed_tokens.weight");
  EXPECT_THAT(NamesNeeded(spec, Make(1, 2), 1), Contains("model.embed_tokens.weight"))
      << "the last stage needs it too";
}

TEST(TensorTableTest, StagesNeedTheirLayersAlone) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  EXPECT_THAT(NamesNeeded(spec, Make(1, 2), 0),
              AllOf(Contains("model.layers.15.input_layernorm.weight"),
                    Not(Contains("model.layers.16.input_layernorm.weight")),
                    Not(Contains("lm_head.weight"))));
  EXPECT_THAT(
      NamesNeeded(spec, Make(1, 2), 1),
      AllOf(Contains("model.layers.16.input_layernorm.weight"), Contains("model.norm.weight"),
            Not(Contains("model.layers.15.input_layernorm.weight")),
            Not(Contains("model.embed_tokens.weight"))));
}

TEST(TensorTableTest, ExpertRanksNeedTheirExpertsAlone) {
  const ModelSpec spec = PublishedModel("mixtral-8x7b");
  EXPECT_THAT(NamesNeeded(spec, Make(4, 1, 4), 3),
              AllOf(Contains("model.layers.0.block_sparse_moe.experts.6.w1.weight"),
                    Contains("model.layers.0.block_sparse_moe.experts.7.w1.weight"),
                    Not(Contains("model.layers.0.block_sparse_moe.experts.5.w1.weight"))));
}

// Over all ranks that share a tensor, every element is held as often as its rule says.
TEST(TensorTableTest, ShardsCoverTheWholeEvenly) {
  for (const char* name : {"llama-3.1-8b", "qwen1.5-moe-a2.7b", "mixtral-8x7b"}) {
    const ModelSpec spec = PublishedModel(name);
    const TensorTable table(spec);
    for (const Layout& layout : ValidLayouts(spec, 4)) {
      if (layout.copies() > 1) continue;
      std::map<std::string, int64_t> held;
      std::map<std::string, TensorInfo> infos;
      for (uint32_t rank = 0; rank < 4; ++rank) {
        const RankPosition position = PositionOf(spec, layout, rank);
        for (const TensorInfo& tensor : table.NeededBy(layout, position)) {
          const Slice slice = table.SliceFor(tensor, layout, position);
          EXPECT_LE(slice.first_row + slice.rows, tensor.rows);
          EXPECT_LE(slice.first_column + slice.columns, tensor.columns);
          held[tensor.name] += slice.num_elements();
          infos[tensor.name] = tensor;
        }
      }
      for (const auto& [tensor_name, elements] : held) {
        const TensorInfo& tensor = infos[tensor_name];
        const int64_t copies = tensor.rule == ShardRule::kReplicate ? layout.attention_tp() : 1;
        EXPECT_EQ(elements, tensor.rows * tensor.columns * copies)
            << tensor_name << " " << LayoutName(layout);
      }
    }
  }
}

TEST(TensorTableTest, KeyHeadsAreRepeatedBeyondTheirNumber) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");  // 32 query heads, 8 KV heads of 128
  const TensorTable table(spec);
  const TensorInfo k = table.Find(WeightRole::kK);
  const TensorInfo q = table.Find(WeightRole::kQ);
  for (uint32_t tp : {2, 8, 16, 32}) {
    for (uint32_t rank = 0; rank < tp; ++rank) {
      const RankPosition position = PositionOf(spec, Make(tp), rank);
      const Slice keys = table.SliceFor(k, Make(tp), position);
      const Slice queries = table.SliceFor(q, Make(tp), position);
      EXPECT_EQ(keys.rows, std::max<int64_t>(8 / tp, 1) * 128);
      // Each of this rank's query heads finds its KV head, head / 4, on this rank.
      for (int64_t row = queries.first_row; row < queries.first_row + queries.rows; row += 128) {
        const int64_t kv_row = row / 128 / 4 * 128;
        EXPECT_GE(kv_row, keys.first_row);
        EXPECT_LT(kv_row, keys.first_row + keys.rows);
      }
    }
  }
}

}  // namespace
}  // namespace regatta
