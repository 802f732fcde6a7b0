// The shipped models against transformers: logits of one rank within rounding, and the same greedy
// tokens for 64 prompts batched together in every layout.
#include "tests/worker/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "common/layout.h"
#include "tests/worker/plan_driver.h"
#include "tests/worker/threaded_group.h"
#include "worker/batch.h"
#include "worker/kv_cache.h"
#include "worker/model.h"
#include "worker/step_inputs.h"

namespace regatta {
namespace {

class GoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenTest() : golden_(LoadGolden(GetParam())) {}

  GroupOptions Options(const Layout& layout) {
    GroupOptions options;
    options.model.set_path(golden_.model_dir);
    options.layout = layout;
    options.max_batch_size = 64;
    options.max_num_tokens = 512;
    options.max_seq_len = 512;
    options.max_inflight = layout.pp() + 1;
    return options;
  }

  const Golden golden_;
};
INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, ::testing::Values("regatta-dense", "regatta-moe"),
                         [](const auto& info) { return info.param.substr(8); });

TEST_P(GoldenTest, LogitsOfOneRankAreThoseOfTransformers) {
  auto spec = LoadModelSpec(golden_.model_dir);
  ASSERT_TRUE(spec.ok()) << spec.status();
  const Layout layout = *MakeLayout(1, 1, 1, 1);
  const RankPosition position = PositionOf(*spec, layout, 0);
  ModelSource source;
  source.set_path(golden_.model_dir);
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  auto weights = LoadWeights(source, *spec, layout, position, *ops, nullptr);
  ASSERT_TRUE(weights.ok()) << weights.status();
  const KvShape kv = {spec->num_layers, 16, spec->num_kv_heads, spec->head_dim, DType::kFloat32};
  auto cache = KvCache::Allocate(kv, 32, *ops);
  RankCommunicators alone = {MakeSelfCommunicator(), MakeSelfCommunicator()};
  auto model = Model::Create(*spec, position, *weights, cache->layers(), *ops, alone,
                             {.max_tokens = 512, .max_rows = 1, .max_seq_len = 512});
  ASSERT_TRUE(model.ok()) << model.status();
  const SlotLimits limits = {1, 512, 512, 16, 32, static_cast<uint32_t>(spec->vocab_size), 0};
  auto inputs = StepInputs::Create(limits, *ops);
  const auto staging = (*inputs)->MakeStaging();

  int compared = 0;
  float largest_error = 0;
  for (size_t i = 0; i < golden_.prompts.size(); ++i) {
    if (golden_.logits[i].empty()) continue;
    const std::vector<uint32_t>& tokens = golden_.prompts[i].tokens;
    const uint32_t length = static_cast<uint32_t>(tokens.size());
    StepPlan plan;
    plan.set_step_id(1);
    plan.add_admissions()->set_prompt_length(length);
    plan.add_slot(0);
    plan.add_start(0);
    plan.add_count(length);
    plan.add_flags(STEP_FLAG_SAMPLE | STEP_FLAG_INLINE_TOKENS);
    plan.mutable_tokens()->Add(tokens.begin(), tokens.end());
    plan.add_new_block_count((length + 15) / 16);
    for (uint32_t block = 0; block < (length + 15) / 16; ++block) plan.add_new_blocks(31 - block);
    SlotTable slots(limits);
    ASSERT_TRUE(slots.Apply(plan).ok());
    StepBatch batch;
    BuildBatch(plan, slots, batch);
    const Tensor logits = (*model)->Forward((*inputs)->Upload(batch, *staging));
    ASSERT_EQ(logits.num_elements(), static_cast<int64_t>(golden_.logits[i].size()));
    for (size_t j = 0; j < golden_.logits[i].size(); ++j) {
      largest_error =
          std::max(largest_error, std::abs(logits.as<float>()[j] - golden_.logits[i][j]));
    }
    ++compared;
  }
  EXPECT_GE(compared, 8);
  EXPECT_LT(largest_error, 2e-4f);  // logits span about 40; the smallest greedy gap is 0.02
  RecordProperty("largest_error", std::to_string(largest_error));
}

TEST_P(GoldenTest, GreedyTokensAreTheSameInEveryLayout) {
  ASSERT_GE(golden_.prompts.size(), 64u);
  struct Shape {
    uint32_t tp, pp, ep;
  };
  std::vector<Shape> shapes = {{1, 1, 1}, {2, 1, 1}, {4, 1, 1}, {8, 1, 1},
                               {1, 2, 1}, {1, 8, 1}, {2, 2, 1}, {4, 2, 1}};
  if (GetParam() == "regatta-moe") {
    shapes.insert(shapes.end(), {{2, 1, 2}, {4, 1, 2}, {4, 1, 4}, {8, 1, 8}});
  }
  for (const Shape& shape : shapes) {
    const Layout layout = *MakeLayout(shape.tp, shape.pp, shape.ep, 1);
    auto group = ThreadedGroup::Form(Options(layout));
    ASSERT_TRUE(group.ok()) << LayoutName(layout) << ": " << group.status();
    auto outputs = PlanDriver(**group, 128).Generate(golden_.prompts);
    ASSERT_TRUE(outputs.ok()) << LayoutName(layout) << ": " << outputs.status();
    for (size_t i = 0; i < outputs->size(); ++i) {
      EXPECT_EQ((*outputs)[i].tokens, golden_.tokens[i]) << LayoutName(layout) << ", prompt " << i;
    }
  }
}

TEST_P(GoldenTest, LookAheadChangesNothing) {
  for (uint32_t pp : {1, 4}) {
    const Layout layout = *MakeLayout(1, pp, 1, 1);
    for (uint32_t max_inflight = 1; max_inflight <= pp + 1; ++max_inflight) {
      GroupOptions options = Options(layout);
      options.max_inflight = max_inflight;
      auto group = ThreadedGroup::Form(options);
      ASSERT_TRUE(group.ok()) << group.status();
      auto outputs = PlanDriver(**group, 512).Generate(golden_.prompts);
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      for (size_t i = 0; i < outputs->size(); ++i) {
        EXPECT_EQ((*outputs)[i].tokens, golden_.tokens[i]) << "pp " << pp << ", " << max_inflight;
      }
    }
  }
}

}  // namespace
}  // namespace regatta
