// A running pool of four workers changes its layout under load, without a process restarting and
// without an answer changing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/layout.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/report/frontier.h"
#include "proto/cluster.grpc.pb.h"
#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

namespace fs = std::filesystem;

std::set<uint32_t> WorkerPids(const ClusterDescription& cluster) {
  std::set<uint32_t> pids;
  for (const PoolWorker& worker : cluster.workers()) pids.insert(worker.description().pid());
  return pids;
}

// Re-forms the pool; `last` gets the last progress message.
grpc::Status Repartition(const std::shared_ptr<grpc::Channel>& channel, const Layout& layout,
                         RepartitionProgress* last = nullptr) {
  const auto stub = Cluster::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  RepartitionRequest request;
  *request.mutable_layout() = layout;
  const auto reader = stub->Repartition(&context, request);
  for (RepartitionProgress progress; reader->Read(&progress);) {
    if (last != nullptr) *last = progress;
  }
  return reader->Finish();
}

TEST(Repartition, FourWorkersUnderLoad_AnswersUnchanged) {
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 3);
  const auto cluster = LaunchModel("regatta-dense", 4, {"--tp", "4"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto& channel = (*cluster)->channel();
  const auto pids = WorkerPids((*cluster)->description());
  const std::vector<Output> before = GenerateAll(channel, GreedyRequests(prompts), 16);

  for (const Layout& layout : {*MakeLayout(2, 1, 1, 2), *MakeLayout(1, 2, 1, 2)}) {
    std::vector<Output> during;
    std::thread load([&] { during = GenerateAll(channel, GreedyRequests(prompts), 16); });
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    RepartitionProgress progress;
    const grpc::Status status = Repartition(channel, layout, &progress);
    EXPECT_TRUE(status.ok()) << status.error_message();
    load.join();
    std::cout << LayoutName(layout) << ": " << progress.live_sequences()
              << " live sequences moved in " << progress.total_seconds() << " s (drain "
              << progress.drain_seconds() << ", dissolve " << progress.dissolve_seconds()
              << ", form " << progress.form_seconds() << ")\n";
    EXPECT_GT(progress.live_sequences(), 0u) << "the pool was idle when it was re-formed";
    ASSERT_EQ(during.size(), before.size());
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_TRUE(during[i].status.ok()) << "prompt " << i << ": " << during[i].status;
      EXPECT_EQ(during[i].token_ids, before[i].token_ids) << "prompt " << i;
    }
    const auto now = DescribeCluster(channel, absl::Seconds(5));
    ASSERT_TRUE(now.ok()) << now.status();
    EXPECT_EQ(LayoutName(now->layout()), LayoutName(layout));
    EXPECT_EQ(WorkerPids(*now), pids) << "a worker process was restarted";
  }
  EXPECT_TRUE((*cluster)->Check().ok());
}

TEST(Repartition, UnderASweep_IsSaidOfThePointAndTheNextHasTheNewLayout) {
  const auto cluster = LaunchModel("regatta-dense", 2, {"--tp", "2"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const std::string results = absl::StrCat(::testing::TempDir(), "/repartitioned-", getpid());
  const auto sweep = ChildProcess::Start(
      "regatta",
      {REGATTA_BIN_DIR "/regatta", "sweep", "--url",
       absl::StrCat("grpc://", (*cluster)->router_address()), "--dataset",
       BundledModel("regatta-dense") + "/heldout.jsonl", "--concurrency", "2,4", "--num-requests",
       "120", "--warmup", "0", "--no-calibrate", "--output", results},
      results + ".log");
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const auto& channel = (*cluster)->channel();
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  const auto is_measuring = [&] {
    const auto state = ReadClusterState(channel, absl::Seconds(5));
    return state.ok() && state->running() > 0;
  };
  while (!is_measuring() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
  const grpc::Status status = Repartition(channel, *MakeLayout(1, 1, 1, 2));
  ASSERT_TRUE(status.ok()) << status.error_message();
  while (!(*sweep)->Ended() && absl::Now() < deadline + absl::Seconds(60)) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  ASSERT_EQ((*sweep)->Ended().value_or("still running"), "exit code 0");
  ASSERT_EQ(std::distance(fs::directory_iterator(results), {}), 1);
  const auto report = LoadResults(fs::directory_iterator(results)->path().string());
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->points_size(), 2);
  EXPECT_EQ(report->points(0).regatta().layout(), "tp2");
  EXPECT_EQ(report->points(0).regatta().layout_change(), "tp2 -> dp2");
  EXPECT_THAT(report->points(0).regatta().warnings(),
              ::testing::Contains("layout changed during the point: tp2 -> dp2"));
  EXPECT_EQ(report->points(1).regatta().layout(), "dp2");
  EXPECT_EQ(report->points(1).regatta().layout_change(), "");
  EXPECT_THAT(OnFrontier(*report), ::testing::ElementsAre(false, true));
  fs::remove_all(results);
}

TEST(Repartition, ImpossibleLayout_IsRefusedAndServingGoesOn) {
  const auto cluster = LaunchModel("regatta-dense", 2, {"--tp", "2"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Repartition((*cluster)->channel(), *MakeLayout(3, 1, 1, 1)).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 60);
  const int exact =
      CountExact(prompts, GenerateAll((*cluster)->channel(), GreedyRequests(prompts), 8));
  EXPECT_GE(exact, 0.9 * prompts.size());
}

// Four ranks share the memory that two had, and hold as much of each token as they did (the model
// has two KV heads): the pool halves.
TEST(Repartition, PoolTooSmallForALiveSequence_FallsBackAndAnswersAreUnchanged) {
  uint64_t memory_bytes = 0;
  {
    const auto cluster = LaunchModel("regatta-dense", 1, {});
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    memory_bytes = (*cluster)->description().workers(0).description().memory_bytes();
  }
  constexpr double kPoolBytes = 800 * 8192;  // 800 tokens
  const auto cluster = LaunchModel(
      "regatta-dense", 4,
      {"--tp", "2", "--max-batch-size", "16", "--no-prefix-cache", "--mean-input-length", "64",
       "--mean-output-length", "64", "--kv-cache-free-gpu-mem-fraction",
       absl::StrCat(kPoolBytes / static_cast<double>(memory_bytes))});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto& channel = (*cluster)->channel();
  const GroupDescription& group = (*cluster)->description().groups(0);
  const uint32_t pool = group.kv_blocks() * group.block_size();
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 40);
  std::vector<GenerateRequest> requests = GreedyRequests(prompts);
  requests[0].set_ignore_eos(true);
  requests[0].set_max_tokens(pool * 7 / 10);
  const std::vector<Output> before = GenerateAll(channel, requests, 8);

  std::vector<Output> during;
  std::thread load([&] { during = GenerateAll(channel, requests, 8); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const grpc::Status status = Repartition(channel, *MakeLayout(4, 1, 1, 1));
  load.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("a live sequence may need"));
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("serving as before with tp2"));
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(during[i].status.ok()) << "prompt " << i << ": " << during[i].status;
    EXPECT_EQ(during[i].token_ids, before[i].token_ids) << "prompt " << i;
  }
  EXPECT_GT(during[0].usage.preemptions(), before[0].usage.preemptions())
      << "the long sequence was not live when the pool was re-formed";
  EXPECT_TRUE((*cluster)->Check().ok());
}

}  // namespace
}  // namespace regatta::testing
