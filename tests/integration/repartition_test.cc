// A running pool of four workers changes its layout under load, without a process restarting and
// without an answer changing.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "common/layout.h"
#include "orchestrator/cluster_client.h"
#include "proto/cluster.grpc.pb.h"
#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

std::set<uint32_t> WorkerPids(const ClusterDescription& cluster) {
  std::set<uint32_t> pids;
  for (const PoolWorker& worker : cluster.workers()) pids.insert(worker.description().pid());
  return pids;
}

// Re-forms the pool and returns the last progress message.
RepartitionProgress Repartition(const std::shared_ptr<grpc::Channel>& channel,
                                const Layout& layout) {
  const auto stub = Cluster::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  RepartitionRequest request;
  *request.mutable_layout() = layout;
  const auto reader = stub->Repartition(&context, request);
  RepartitionProgress progress, last;
  while (reader->Read(&progress)) last = progress;
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return last;
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
    const RepartitionProgress progress = Repartition(channel, layout);
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

TEST(Repartition, ImpossibleLayout_IsRefusedAndServingGoesOn) {
  const auto cluster = LaunchModel("regatta-dense", 2, {"--tp", "2"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto stub = Cluster::NewStub((*cluster)->channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  RepartitionRequest request;
  request.mutable_layout()->set_attention_tp(3);
  request.mutable_layout()->set_expert_tp(3);
  const auto reader = stub->Repartition(&context, request);
  RepartitionProgress progress;
  while (reader->Read(&progress)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 60);
  const int exact =
      CountExact(prompts, GenerateAll((*cluster)->channel(), GreedyRequests(prompts), 8));
  EXPECT_GE(exact, 0.9 * prompts.size());
}

}  // namespace
}  // namespace regatta::testing
