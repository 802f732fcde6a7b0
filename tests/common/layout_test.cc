// Which layouts are valid, how they are named, and who holds what.
#include "common/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/models.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Layout Make(uint32_t tp, uint32_t pp = 1, uint32_t ep = 1, uint32_t dp = 1) {
  auto layout = MakeLayout(tp, pp, ep, dp);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return layout.value_or(Layout());
}

std::vector<std::string> NamesOf(const std::vector<Layout>& layouts) {
  std::vector<std::string> names;
  for (const Layout& layout : layouts) names.push_back(LayoutName(layout));
  return names;
}

TEST(LayoutTest, CommandLineMeaning) {
  const Layout layout = Make(/*tp=*/4, /*pp=*/2, /*ep=*/2, /*dp=*/3);
  EXPECT_EQ(layout.attention_tp(), 4);
  EXPECT_EQ(layout.expert_tp(), 2);
  EXPECT_EQ(layout.expert_ep(), 2);
  EXPECT_EQ(RanksPerCopy(layout), 8);
  EXPECT_EQ(WorldSize(layout), 24);
  EXPECT_EQ(LayoutName(layout), "tp4-ep2-pp2-dp3");
  EXPECT_EQ(LayoutName(Make(1)), "tp1");
  EXPECT_EQ(LayoutName(Make(1, 2)), "pp2");
  EXPECT_EQ(LayoutName(Layout()), "tp1") << "zero means one";
  EXPECT_EQ(WorldSize(Layout()), 1);
}

TEST(LayoutTest, RefusesSizesThatMeanNothing) {
  EXPECT_THAT(MakeLayout(0, 1, 1, 1).status().message(), HasSubstr("tp is 0"));
  EXPECT_THAT(MakeLayout(1, 0, 1, 1).status().message(), HasSubstr("pp is 0"));
  EXPECT_THAT(MakeLayout(1, 1, 0, 1).status().message(), HasSubstr("ep is 0"));
  EXPECT_THAT(MakeLayout(1, 1, 1, 0).status().message(), HasSubstr("dp is 0"));
  EXPECT_THAT(MakeLayout(4, 1, 3, 1).status().message(), HasSubstr("ep 3 does not divide tp 4"));
  EXPECT_THAT(MakeLayout(UINT32_MAX, UINT32_MAX, 1, UINT32_MAX).status().message(),
              HasSubstr("more than 65536 ranks"));
}

TEST(LayoutTest, DivisibilityOfDenseModels) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");  // 32 heads, 8 KV heads, 32 layers
  for (uint32_t tp : {1, 2, 4, 8, 16, 32}) EXPECT_TRUE(CheckLayout(spec, Make(tp)).ok()) << tp;
  EXPECT_TRUE(CheckLayout(spec, Make(2, 32)).ok());
  EXPECT_TRUE(CheckLayout(spec, Make(2, 5)).ok()) << "stages may differ by a layer";

  absl::Status status = CheckLayout(spec, Make(3));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("tp 3 neither divides 8 KV heads"));
  EXPECT_THAT(status.message(), HasSubstr("layouts of 3 ranks that fit: pp3, dp3"));
  EXPECT_THAT(CheckLayout(spec, Make(64)).message(),
              HasSubstr("tp 64 does not divide 32 query heads"));
  EXPECT_THAT(CheckLayout(spec, Make(1, 33)).message(), HasSubstr("pp 33 exceeds 32 layers"));
  EXPECT_THAT(CheckLayout(spec, Make(4, 1, 2)).message(), HasSubstr("has no experts"));
}

TEST(LayoutTest, EveryDimensionThatIsSplitMustDivide) {
  ModelSpec spec = PublishedModel("llama-3.1-8b");
  spec.ffn_width = 14337;
  EXPECT_THAT(CheckLayout(spec, Make(2)).message(), HasSubstr("14337 MLP columns"));
  spec.vocab_size = 32001;
  EXPECT_THAT(CheckLayout(spec, Make(2)).message(), HasSubstr("32001 vocabulary rows"));
  ModelSpec moe = PublishedModel("qwen1.5-moe-a2.7b");  // 60 experts of 1408, shared of 5632
  EXPECT_TRUE(CheckLayout(moe, Make(4, 1, 4)).ok());
  EXPECT_THAT(CheckLayout(moe, Make(8, 1, 8)).message(), HasSubstr("ep 8 does not divide 60"));
  moe.moe.expert_width = 1407;
  EXPECT_TRUE(CheckLayout(moe, Make(4, 1, 4)).ok()) << "whole experts need no width to divide";
  EXPECT_THAT(CheckLayout(moe, Make(4, 1, 2)).message(),
              HasSubstr("expert tp 2 does not divide 1407"));
  moe.moe.shared_expert_width = 5633;
  EXPECT_THAT(CheckLayout(moe, Make(4, 1, 4)).message(), HasSubstr("5633 shared expert"));
}

TEST(LayoutTest, RefusesLayoutsFromTheWire) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  Layout layout = Make(2);
  layout.set_expert_tp(1);
  EXPECT_THAT(CheckLayout(spec, layout).message(), HasSubstr("differs from expert tp 1"));
  layout = Make(2);
  layout.set_copies(UINT32_MAX);
  EXPECT_THAT(CheckLayout(spec, layout).message(), HasSubstr("more than 65536 ranks"));
  layout = Make(4);
  layout.set_attention_tp(2);
  layout.set_attention_dp(2);
  EXPECT_EQ(CheckLayout(spec, layout).code(), absl::StatusCode::kUnimplemented);
}

TEST(LayoutTest, ValidLayoutsFillTheRanks) {
  EXPECT_THAT(NamesOf(ValidLayouts(PublishedModel("llama-3.1-8b"), 4)),
              ElementsAre("tp4", "tp2-pp2", "pp4", "tp2-dp2", "pp2-dp2", "dp4"));
  EXPECT_THAT(NamesOf(ValidLayouts(PublishedModel("mixtral-8x7b"), 2)),
              ElementsAre("tp2", "tp2-ep2", "pp2", "dp2"));
  const ModelSpec spec = PublishedModel("qwen3-30b-a3b");
  for (const Layout& layout : ValidLayouts(spec, 16)) {
    EXPECT_EQ(WorldSize(layout), 16);
    EXPECT_TRUE(CheckLayout(spec, layout).ok()) << LayoutName(layout);
  }
}

TEST(LayoutTest, LongListsOfLayoutsAreCut) {
  const absl::Status status = CheckLayout(PublishedModel("qwen3-30b-a3b"), Make(1, 64));
  EXPECT_THAT(status.message(), HasSubstr(" more"));
  EXPECT_LT(status.message().size(), 300);
}

TEST(LayoutTest, PoolsThatAreTooSmallNameWhatFitsThem) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  EXPECT_TRUE(CheckPoolSize(spec, *MakeLayout(4, 1, 1, 1), 4).ok());
  EXPECT_TRUE(CheckPoolSize(spec, *MakeLayout(2, 1, 1, 1), 4).ok());
  const absl::Status status = CheckPoolSize(spec, *MakeLayout(8, 1, 1, 1), 4);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "layout tp8 needs 8 workers, the pool has 4; layouts of 4 ranks that fit: tp4, "
            "tp2-pp2, pp4, tp2-dp2, pp2-dp2, dp4");
}

TEST(LayoutTest, StagesShareLayersEvenlyAndEarlierOnesTakeTheRest) {
  const ModelSpec spec = PublishedModel("llama-3.1-8b");
  const Layout layout = Make(/*tp=*/2, /*pp=*/5);
  std::vector<int> counts;
  int next = 0;
  for (uint32_t rank = 0; rank < RanksPerCopy(layout); ++rank) {
    const RankPosition position = PositionOf(spec, layout, rank);
    EXPECT_EQ(position.stage, rank / 2);
    EXPECT_EQ(position.tp_rank, rank % 2);
    EXPECT_EQ(position.first_stage, rank < 2);
    EXPECT_EQ(position.last_stage, rank >= 8);
    if (position.tp_rank != 0) continue;
    EXPECT_EQ(position.first_layer, next);
    next = position.end_layer;
    counts.push_back(position.end_layer - position.first_layer);
  }
  EXPECT_EQ(next, spec.num_layers);
  EXPECT_THAT(counts, ElementsAre(7, 7, 6, 6, 6));
}

TEST(LayoutTest, ExpertGroups) {
  const ModelSpec spec = PublishedModel("mixtral-8x7b");
  const Layout layout = Make(/*tp=*/4, /*pp=*/1, /*ep=*/2);
  std::vector<uint32_t> ep_ranks, tp_ranks;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    ep_ranks.push_back(PositionOf(spec, layout, rank).ep_rank);
    tp_ranks.push_back(PositionOf(spec, layout, rank).expert_tp_rank);
  }
  EXPECT_THAT(ep_ranks, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(tp_ranks, ElementsAre(0, 1, 0, 1));
}

}  // namespace
}  // namespace regatta
