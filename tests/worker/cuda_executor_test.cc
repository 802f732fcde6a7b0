// A rank's life on a GPU: graphs change nothing, forming and dissolving leaves no memory behind.
// Skips loudly without a GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/layout.h"
#include "tests/worker/golden.h"
#include "tests/worker/threaded_group.h"
#include "worker/device.h"

namespace regatta {
namespace {

class CudaExecutorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gpus_ = static_cast<int>(ListDevices().size()) - 1;
    if (gpus_ == 0) GTEST_SKIP() << "no GPU on this machine";
  }

  static GroupOptions Options(const Golden& golden, const Layout& layout) {
    GroupOptions options;
    options.device = "cuda";
    options.model.set_path(golden.model_dir);
    options.model.set_dtype("float32");
    options.layout = layout;
    options.max_batch_size = 24;
    options.max_num_tokens = 512;
    options.max_seq_len = 512;
    options.max_kv_blocks = 2048;
    return options;
  }

  // Of GPU 0, when nothing of this process is on it but its context.
  static uint64_t FreeMemory() {
    auto device = OpenDevice("cuda:0", 1);
    CHECK(device.ok()) << device.status();
    auto ops = (*device)->MakeOps();
    CHECK(ops.ok()) << ops.status();
    return (*ops)->FreeDeviceMemory();
  }

  int gpus_ = 0;
};

TEST_F(CudaExecutorTest, GraphsAndPaddingChangeNothing) {
  const Golden golden = LoadGolden("regatta-dense");
  for (const bool disabled : {false, true}) {
    for (const bool exact : {false, true}) {
      GroupOptions options = Options(golden, *MakeLayout(1, 1, 1, 1));
      options.graphs.set_disabled(disabled);
      options.graphs.set_exact(exact);
      if (exact) options.graphs.add_batch_sizes(7);
      auto group = ThreadedGroup::Form(options);
      ASSERT_TRUE(group.ok()) << group.status();
      EXPECT_EQ((*group)->formed().num_graphs() > 0, !disabled);
      auto outputs = PlanDriver(**group, 128).Generate(golden.prompts);
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      for (size_t i = 0; i < outputs->size(); ++i) {
        EXPECT_EQ((*outputs)[i].tokens, golden.tokens[i]) << "prompt " << i;
      }
    }
  }
}

TEST_F(CudaExecutorTest, TwentyLivesLeaveTheSameMemory) {
  const Golden golden = LoadGolden("regatta-moe");
  uint64_t first = 0;
  for (int life = 0; life < 20; ++life) {
    const uint32_t ranks = gpus_ >= 2 && life % 2 == 1 ? 2 : 1;
    GroupOptions options = Options(golden, *MakeLayout(ranks, 1, 1, 1));
    options.graphs.set_max_batch_size(8);
    {
      auto group = ThreadedGroup::Form(options);
      ASSERT_TRUE(group.ok()) << group.status();
      auto outputs = PlanDriver(**group, 128).Generate({golden.prompts[life]});
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      EXPECT_EQ((*outputs)[0].tokens, golden.tokens[life]);
    }
    // Libraries keep what they loaded in the first lives.
    if (life == 3) first = FreeMemory();
  }
  const uint64_t last = FreeMemory();
  constexpr uint64_t kSlack = 4 << 20;
  EXPECT_GE(last + kSlack, first) << (first - last) << " bytes are gone";
}

}  // namespace
}  // namespace regatta
