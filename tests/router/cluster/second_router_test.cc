// Two routers and the same workers: the second one waits, takes what is free, or takes over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/router/cluster/coordinator_fixture.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// `coordinator_` is the first router, `second_` the other.
class SecondRouterTest : public CoordinatorFixture {
 protected:
  ~SecondRouterTest() override { second_.reset(); }

  // Of the first `num_workers`.
  absl::Status StartSecond(absl::Duration start_timeout, bool take_over = false,
                           size_t num_workers = SIZE_MAX) {
    PoolOptions pool;
    for (const auto& worker : workers_) {
      if (pool.addresses.size() < num_workers) pool.addresses.push_back(worker.address());
    }
    pool.heartbeat_timeout = absl::Seconds(2);
    second_pool_ = *Pool::Create(pool);
    CoordinatorOptions options = options_;
    options.layout = *MakeLayout(1, 1, 1, 1);
    options.start_timeout = start_timeout;
    options.former.take_over = take_over;
    options.log = [this](const std::string& line) { options_.log("second: " + line); };
    second_ = std::make_unique<Coordinator>(options, spec_, nullptr, *second_pool_);
    return second_->Start();
  }
  void ExpectSecondServes() {
    const auto stream = std::make_shared<CollectingStream>();
    ASSERT_TRUE(second_->Submit(RequestOf(5, LengthOf(5)), 5, stream).ok());
    ASSERT_TRUE(stream->AwaitEnd(5, absl::Seconds(20)));
    EXPECT_EQ(stream->Get(5).tokens, FakeContinuation(PromptOf(5), LengthOf(5)));
  }

  std::unique_ptr<Pool> second_pool_;
  std::unique_ptr<Coordinator> second_;
};

TEST_F(SecondRouterTest, LeavesAServingGroupAloneAndSaysWhoseItIs) {
  AddWorkers(2, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  SubmitAll(1, 60);
  const absl::Status status = StartSecond(absl::Seconds(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("worker " + Worker(0).address() + " serves another router (epoch 1, "));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("; stop that one, or start this one with --take-over"));
  EXPECT_TRUE(Logged("second: waiting: "));
  ExpectExact(1, 60);
  EXPECT_EQ(Describe().groups(0).epoch(), 1);
  EXPECT_FALSE(Logged("is fenced"));
}

TEST_F(SecondRouterTest, TakesWhatIsFree) {
  AddWorkers(3, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  SubmitAll(1, 30);
  const absl::Status status = StartSecond(absl::Seconds(5));
  ASSERT_TRUE(status.ok()) << status;
  ExpectSecondServes();
  EXPECT_GT(Worker(2).plans_run(), 0);
  // Nor does the first, which knows that worker too.
  EXPECT_TRUE(RepartitionTo(1, 2, 1).ok());
  EXPECT_EQ(RepartitionTo(1, 1, 3).code(), absl::StatusCode::kAborted);
  ExpectExact(1, 30);
  ExpectSecondServes();
  EXPECT_FALSE(Logged("is fenced"));
}

// Restarted workers count epochs anew: the number of one's own group may be that of another's.
TEST_F(SecondRouterTest, AGroupOfAnotherWithTheSameEpochIsNotTakenForOnesOwn) {
  AddWorkers(2, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  ASSERT_EQ(Describe().groups(0).epoch(), 1);
  const auto serves_with = [&](uint64_t epoch) {
    const ClusterDescription cluster = Describe();
    return State().phase() == "serving" && cluster.groups(0).epoch() == epoch;
  };
  Worker(0).Kill();
  ASSERT_TRUE(Await([&] { return serves_with(2); }));
  Worker(0).Restart();
  ASSERT_TRUE(StartSecond(absl::Seconds(5), false, 1).ok());
  ASSERT_EQ(Worker(0).resident().group_epoch(), 1);
  Worker(1).Restart();
  ASSERT_TRUE(Await([&] { return State().phase() == "serving" && !serves_with(2); }));
  SubmitAll(1, 20);
  ExpectExact(1, 20);
  ExpectSecondServes();
}

TEST_F(SecondRouterTest, ServesOnceTheFirstHasGone) {
  AddWorkers(1, milliseconds(1));
  ASSERT_TRUE(Start(*MakeLayout(1, 1, 1, 1)).ok());
  absl::Status status;
  std::thread starting([&] { status = StartSecond(absl::Seconds(30)); });
  EXPECT_TRUE(AwaitLog("second: waiting: "));
  coordinator_.reset();
  starting.join();
  ASSERT_TRUE(status.ok()) << status;
  ExpectSecondServes();
}

TEST_F(SecondRouterTest, TakesOverWhereItIsToldAndIsNotFought) {
  AddWorkers(2, milliseconds(1));
  options_.former.take_over = true;  // The first may only do so at its own start.
  ASSERT_TRUE(Start(*MakeLayout(2, 1, 1, 1)).ok());
  const absl::Status status = StartSecond(absl::Seconds(5), true);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(AwaitLog("is fenced"));
  EXPECT_TRUE(
      AwaitLog("cannot re-form: the layout needs 2 workers (1 x 2), 1 of the pool's 2 are "
               "free; worker " +
               Worker(0).address() + " serves another router"));
  absl::SleepFor(absl::Seconds(2));  // The first one tries again every second.
  ExpectSecondServes();
  EXPECT_FALSE(Logged("second: group 0 (epoch 2) is fenced"));
  second_.reset();
  ASSERT_TRUE(Await([&] { return State().phase() == "serving"; }));
  SubmitAll(1, 20);
  ExpectExact(1, 20);
}

}  // namespace
}  // namespace regatta
