// The shipped models on GPUs against transformers, in every layout that this machine's GPUs allow:
// graphs, look-ahead and padding included. Skips loudly without a GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "common/layout.h"
#include "tests/worker/golden.h"
#include "tests/worker/threaded_group.h"
#include "worker/device.h"

namespace regatta {
namespace {

int NumGpus() { return static_cast<int>(ListDevices().size()) - 1; }

class CudaGoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (NumGpus() == 0) GTEST_SKIP() << "no GPU on this machine";
    golden_ = LoadGolden(GetParam());
  }

  std::vector<Layout> Layouts() const {
    std::vector<Layout> layouts;
    for (const auto& [tp, pp, ep] : std::vector<std::array<uint32_t, 3>>{
             {1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {2, 1, 2}, {4, 1, 1}, {1, 4, 1}, {2, 2, 1}}) {
      if (ep > 1 && GetParam() != "regatta-moe") continue;
      if (static_cast<int>(tp * pp) <= NumGpus()) layouts.push_back(*MakeLayout(tp, pp, ep, 1));
    }
    return layouts;
  }

  std::vector<Output> Generate(const Layout& layout, const std::string& dtype) {
    GroupOptions options;
    options.device = "cuda";
    options.model.set_path(golden_.model_dir);
    options.model.set_dtype(dtype);
    options.layout = layout;
    options.max_batch_size = 64;
    options.max_num_tokens = 512;
    options.max_seq_len = 512;
    options.max_kv_blocks = 4096;
    options.max_inflight = layout.pp() + 1;
    auto group = ThreadedGroup::Form(options);
    EXPECT_TRUE(group.ok()) << LayoutName(layout) << ": " << group.status();
    if (!group.ok()) return {};
    auto outputs = PlanDriver(**group, 128).Generate(golden_.prompts);
    EXPECT_TRUE(outputs.ok()) << LayoutName(layout) << ": " << outputs.status();
    return outputs.value_or(std::vector<Output>());
  }

  int Differing(const std::vector<Output>& outputs) const {
    int count = 0;
    for (size_t i = 0; i < outputs.size(); ++i) count += outputs[i].tokens != golden_.tokens[i];
    return count;
  }

  Golden golden_;
};
INSTANTIATE_TEST_SUITE_P(Models, CudaGoldenTest, ::testing::Values("regatta-dense", "regatta-moe"),
                         [](const auto& info) { return info.param.substr(8); });

TEST_P(CudaGoldenTest, Float32TokensAreThoseOfTransformers) {
  for (const Layout& layout : Layouts()) {
    const std::vector<Output> outputs = Generate(layout, "float32");
    ASSERT_EQ(outputs.size(), golden_.prompts.size());
    EXPECT_EQ(Differing(outputs), 0) << LayoutName(layout);
  }
}

// Rounding to 8 bits turns near-ties: 1 prompt in 16 may differ.
TEST_P(CudaGoldenTest, BFloat16TokensDifferInNearTiesOnly) {
  for (const Layout& layout : Layouts()) {
    const std::vector<Output> outputs = Generate(layout, "bfloat16");
    ASSERT_EQ(outputs.size(), golden_.prompts.size());
    const int differing = Differing(outputs);
    std::printf("%s, bfloat16: %d of %zu prompts differ\n", LayoutName(layout).c_str(), differing,
                outputs.size());
    EXPECT_LE(differing, static_cast<int>(outputs.size() / 16)) << LayoutName(layout);
  }
}

}  // namespace
}  // namespace regatta
