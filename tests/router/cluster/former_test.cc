// From described workers to formed groups: who is chosen, what each is told, what a failure says.
#include "router/cluster/former.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "common/layout.h"
#include "tests/testing/fake_worker_service.h"
#include "tests/testing/models.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<WorkerDescription> OnHosts(const std::string& hosts) {
  std::vector<WorkerDescription> workers;
  for (const char host : hosts) workers.emplace_back().set_host(std::string(1, host));
  return workers;
}

TEST(ChooseWorkersTest, EveryGroupIsOnOneHost) {
  const auto workers = OnHosts("abababcc");
  const auto chosen = ChooseWorkers(workers, std::vector<bool>(8, true), 2, 3);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  std::set<size_t> used;
  for (const auto& group : *chosen) {
    ASSERT_EQ(group.size(), 2);
    EXPECT_EQ(workers[group[0]].host(), workers[group[1]].host());
    used.insert(group.begin(), group.end());
  }
  EXPECT_EQ(used.size(), 6);
}

TEST(ChooseWorkersTest, TheHostWithJustEnoughIsTakenFirst) {
  const auto chosen = ChooseWorkers(OnHosts("aaabb"), std::vector<bool>(5, true), 2, 1);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_THAT((*chosen)[0], ElementsAre(3, 4));
}

TEST(ChooseWorkersTest, EnoughWorkersOnTheWrongHostsAreNamed) {
  const absl::Status status =
      ChooseWorkers(OnHosts("abababcc"), std::vector<bool>(8, true), 2, 4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "the layout needs 8 workers (4 x 2), 8 of the pool's 8 are free: 3 on a, 3 on b, 2 on "
            "c; the ranks of a copy must share a host");
}

TEST(ChooseWorkersTest, OnlyUsableWorkersInPoolOrder) {
  const auto chosen = ChooseWorkers(OnHosts("aaaa"), {true, false, true, true}, 3, 1);
  ASSERT_TRUE(chosen.ok());
  EXPECT_THAT((*chosen)[0], ElementsAre(0, 2, 3));
  const auto missing = ChooseWorkers(OnHosts("aaaa"), {true, false, true, true}, 2, 2);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("needs 4 workers (2 x 2), 3 of"));
}

class FormerTest : public testing::Test {
 protected:
  // What Form would be told about graphs, with room for `max_batch_size` sequences.
  GraphOptions Graphs(const std::optional<GraphOptions>& asked, uint32_t max_batch_size) {
    FormerOptions options;
    options.model.set_dummy_weights(true);
    options.graphs = asked;
    Limits limits;
    limits.set_max_batch_size(max_batch_size);
    Former former(*pool_, spec_, options);
    auto plan = former.Plan(*MakeLayout(1, 1, 1, 1), limits, {}, absl::Seconds(2), false);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan->request.graphs();
  }

  explicit FormerTest(size_t workers = 2) {
    for (size_t i = 0; i < workers; ++i) workers_.emplace_back(FakeWorkerOptions());
    MakePool();
  }
  void MakePool() {
    PoolOptions options;
    for (const auto& worker : workers_) options.addresses.push_back(worker.address());
    pool_ = *Pool::Create(options);
    FormerOptions former;
    former.model.set_dummy_weights(true);
    former_ = std::make_unique<Former>(*pool_, spec_, former);
  }
  absl::StatusOr<FormationPlan> Plan(uint32_t tp, absl::Duration timeout = absl::Seconds(2),
                                     const std::set<size_t>& busy = {}) {
    return former_->Plan(*MakeLayout(tp, 1, 1, 1), Limits(), busy, timeout, false);
  }
  // Plans and forms tp 2.
  absl::StatusOr<std::vector<FormedGroup>> Form(absl::Duration timeout = absl::Seconds(20)) {
    auto plan = Plan(2);
    if (!plan.ok()) return plan.status();
    former_->Dissolve(*plan);
    return former_->Form(*plan, timeout, nullptr);
  }

  std::list<FakeWorkerService> workers_;
  ModelSpec spec_ = PublishedModel("llama-3.2-1b");
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Former> former_;
};

TEST_F(FormerTest, FormsWithGrowingEpochsAndDissolvesWhatItFinds) {
  const auto first = Form();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->front().plan.epoch, 1);
  EXPECT_GT(first->front().formed.kv_blocks(), 0);
  EXPECT_EQ(workers_.front().state(), "formed");
  MakePool();  // Another router finds the workers as this one left them.
  const auto second = Form();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->front().plan.epoch, 2);
}

TEST_F(FormerTest, GraphsAreOfBatchesThatTheLimitsAllow) {
  EXPECT_EQ(Graphs(std::nullopt, 8).ByteSizeLong(), 0);
  GraphOptions asked;
  asked.set_max_batch_size(3840);
  asked.set_exact(true);
  for (const uint32_t size : {1, 4, 64, 128}) asked.add_batch_sizes(size);
  const GraphOptions cut = Graphs(asked, 32);
  EXPECT_THAT(cut.batch_sizes(), ElementsAre(1, 4, 32));
  EXPECT_EQ(cut.max_batch_size(), 32);
  EXPECT_TRUE(cut.exact());
  EXPECT_THAT(Graphs(asked, 256).batch_sizes(), ElementsAre(1, 4, 64, 128));
  asked.set_disabled(true);
  EXPECT_TRUE(Graphs(asked, 32).disabled());
}

TEST_F(FormerTest, ADeadWorkerAtDescribe) {
  workers_.back().Kill();
  const absl::Time start = absl::Now();
  const auto plan = Plan(2);
  EXPECT_LT(absl::Now() - start, absl::Seconds(4));
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr(workers_.back().address()));
  EXPECT_TRUE(Plan(1).ok()) << "one worker is enough for tp 1";
}

TEST_F(FormerTest, AHangingWorkerAtDescribe) {
  workers_.front().SetFault(Fault::kDescribeHangs);
  const absl::Time start = absl::Now();
  const auto plan = Plan(2, absl::Milliseconds(300));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(plan.status().message()),
              HasSubstr(workers_.front().address() + " did not answer Describe within 300ms"));
}

TEST_F(FormerTest, AFailingWorkerAtPrepare) {
  workers_.front().SetFault(Fault::kPrepareFails);
  const auto formed = Form();
  EXPECT_THAT(std::string(formed.status().message()),
              HasSubstr("rank 0 (" + workers_.front().address() + "): Prepare failed: no shared"));
}

TEST_F(FormerTest, AFailingWorkerAtFormFreesTheOthers) {
  workers_.back().SetFault(Fault::kFormFails);
  const auto formed = Form();
  EXPECT_EQ(formed.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(formed.status().message()), HasSubstr("rank 1"));
  EXPECT_THAT(std::string(formed.status().message()), HasSubstr("out of memory"));
  EXPECT_EQ(workers_.front().state(), "idle");
}

TEST_F(FormerTest, AHangingWorkerAtForm) {
  workers_.back().SetFault(Fault::kFormHangs);
  const absl::Time start = absl::Now();
  const auto formed = Form(absl::Milliseconds(400));
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
  EXPECT_EQ(formed.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(formed.status().message()), HasSubstr("rank 1"));
}

TEST_F(FormerTest, ImpossibleLayoutsAreRefusedBeforeAnyWorkerIsTouched) {
  const auto indivisible = Plan(3);
  EXPECT_EQ(indivisible.status().code(), absl::StatusCode::kInvalidArgument);
  const auto busy = Plan(2, absl::Seconds(2), {0});
  EXPECT_EQ(busy.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(workers_.front().state(), "idle");
}

TEST_F(FormerTest, OtherProtocolsAndMixedDevicesAreRefused) {
  workers_.emplace_back(FakeWorkerOptions{.protocol_version = 3});
  MakePool();
  EXPECT_TRUE(Plan(2).ok());
  workers_.pop_front();
  MakePool();
  const auto protocol = Plan(2);
  EXPECT_EQ(protocol.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(protocol.status().message()), HasSubstr("speaks protocol 3"));
  workers_.emplace_back(FakeWorkerOptions{.device_kind = "cuda"});
  MakePool();
  EXPECT_THAT(std::string(Plan(2).status().message()), HasSubstr("mixes devices"));
}

TEST(PoolTest, AddressesAreChecked) {
  EXPECT_EQ(Pool::Create({}).status().code(), absl::StatusCode::kInvalidArgument);
  PoolOptions twice;
  twice.addresses = {"127.0.0.1:1", "127.0.0.1:1"};
  EXPECT_THAT(std::string(Pool::Create(twice).status().message()), HasSubstr("given twice"));
  PoolOptions remote;
  remote.addresses = {"10.0.0.1:9001"};
  EXPECT_EQ(Pool::Create(remote).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace regatta
