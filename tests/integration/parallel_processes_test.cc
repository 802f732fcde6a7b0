// Groups of real worker processes without a router: the golden tokens of a trained model, a rank
// killed in the middle, and the same pool formed again in other layouts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/time/clock.h"
#include "common/check.h"
#include "common/layout.h"
#include "tests/worker/plan_driver.h"
#include "tests/worker/process_group.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

struct Golden {
  std::vector<Prompt> prompts;
  std::vector<std::vector<uint32_t>> tokens;
};

Golden LoadGolden(size_t count) {
  std::ifstream file(REGATTA_SOURCE_DIR "/tests/golden/regatta-moe.json");
  Golden golden;
  const auto json = nlohmann::json::parse(file);
  for (const auto& one : json.at("cases")) {
    if (golden.prompts.size() == count) break;
    golden.tokens.push_back(one.at("tokens").get<std::vector<uint32_t>>());
    golden.prompts.push_back({one.at("prompt").get<std::vector<uint32_t>>(),
                              static_cast<uint32_t>(golden.tokens.back().size()),
                              {}});
  }
  CHECK_EQ(golden.prompts.size(), count);
  return golden;
}

GroupOptions Options(uint32_t tp, uint32_t pp, uint32_t ep) {
  GroupOptions options;
  options.model.set_path(REGATTA_SOURCE_DIR "/tests/models/regatta-moe");
  options.layout = *MakeLayout(tp, pp, ep, 1);
  options.max_batch_size = 16;
  options.max_num_tokens = 256;
  options.max_seq_len = 512;
  options.max_inflight = pp + 1;
  return options;
}

void ExpectGolden(ProcessGroup& group, const Golden& golden) {
  auto outputs = PlanDriver(group, 128).Generate(golden.prompts);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  for (size_t i = 0; i < outputs->size(); ++i) {
    EXPECT_EQ((*outputs)[i].tokens, golden.tokens[i]) << LayoutName(group.options().layout);
  }
}

std::vector<std::string> Addresses(const WorkerPool& pool, std::vector<int> workers) {
  std::vector<std::string> addresses;
  for (int worker : workers) addresses.push_back(pool.address(worker));
  return addresses;
}

TEST(ParallelProcessesTest, OnePoolServesManyLayouts) {
  const Golden golden = LoadGolden(16);
  const WorkerPool pool(4);
  uint64_t epoch = 0;
  for (const GroupOptions& options :
       {Options(4, 1, 4), Options(2, 2, 2), Options(1, 4, 1), Options(4, 1, 1)}) {
    auto group = ProcessGroup::Form(options, Addresses(pool, {0, 1, 2, 3}), ++epoch);
    ASSERT_TRUE(group.ok()) << group.status();
    ExpectGolden(**group, golden);
    EXPECT_TRUE((*group)->Dissolve().ok());
  }
}

TEST(ParallelProcessesTest, AKilledRankIsNamedAndTheRestFormAgain) {
  const Golden golden = LoadGolden(8);
  WorkerPool pool(4);
  auto group = ProcessGroup::Form(Options(2, 2, 2), Addresses(pool, {0, 1, 2, 3}), 1);
  ASSERT_TRUE(group.ok()) << group.status();

  Golden endless = golden;
  for (Prompt& prompt : endless.prompts) {
    prompt.tokens.resize(10);
    prompt.max_tokens = 500;
  }
  absl::Time killed;
  std::thread killer([&] {
    absl::SleepFor(absl::Milliseconds(200));
    killed = absl::Now();
    pool.Kill(3);
  });
  PlanDriver driver(**group, 128);
  absl::StatusOr<std::vector<Output>> outputs;
  for (int i = 0; i < 100 && (i == 0 || outputs.ok()); ++i) {
    outputs = driver.Generate(endless.prompts);
  }
  const absl::Time noticed = absl::Now();
  killer.join();
  EXPECT_EQ(outputs.status().code(), absl::StatusCode::kUnavailable);
  // As rank 3's own stream says, or another's of it: whichever is first.
  EXPECT_THAT(std::string(outputs.status().message()), HasSubstr("rank 3"));
  EXPECT_LT(noticed - killed, absl::Milliseconds(500));
  (*group)->Dissolve().IgnoreError();  // rank 3 cannot be reached

  auto smaller = ProcessGroup::Form(Options(1, 2, 1), Addresses(pool, {0, 2}), 2);
  ASSERT_TRUE(smaller.ok()) << smaller.status();
  ExpectGolden(**smaller, golden);
}

}  // namespace
}  // namespace regatta
