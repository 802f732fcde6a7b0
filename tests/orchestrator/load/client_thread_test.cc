// Client threads together: the workload's bits, exact concurrency, schedules, ramps, cancellations.
#include "orchestrator/load/client_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "absl/time/clock.h"
#include "common/clock.h"
#include "orchestrator/load/arrivals.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/load/null_target.h"

namespace regatta {
namespace {

Dataset MakeDataset(uint32_t entries, uint32_t output_tokens) {
  Dataset dataset;
  for (uint32_t i = 0; i < entries; ++i) {
    DatasetEntry entry;
    entry.task_id = std::to_string(i);
    entry.input_ids = {1, 2, 3, i};
    entry.output_tokens = output_tokens;
    entry.synthetic = true;
    dataset.entries.push_back(entry);
  }
  return dataset;
}

// What all targets of a load saw together.
class Observer {
 public:
  // Nothing is answered before so many requests run together.
  explicit Observer(uint32_t hold_until = 0) : hold_until_(hold_until) {}
  bool Holding() {
    std::lock_guard<std::mutex> lock(mutex_);
    return peak_ < hold_until_;
  }
  void Started(const GenerateRequest& request) {
    std::lock_guard<std::mutex> lock(mutex_);
    EXPECT_TRUE(sent_.emplace(request.request_id(), request.SerializeAsString()).second);
    peak_ = std::max(peak_, ++running_);
  }
  void Ended() {
    std::lock_guard<std::mutex> lock(mutex_);
    --running_;
  }
  uint32_t peak() const { return peak_; }
  const std::map<std::string, std::string>& sent() const { return sent_; }  // bytes by id

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> sent_;
  const uint32_t hold_until_;
  uint32_t running_ = 0, peak_ = 0;
};

// A null target that tells the observer.
class ObservedTarget final : public Target, private TargetEvents {
 public:
  ObservedTarget(Observer& observer, const NullTiming& timing)
      : observer_(observer), target_(timing) {}
  void Start(uint64_t tag, const GenerateRequest& request) override {
    observer_.Started(request);
    target_.Start(tag, request);
  }
  void Cancel(uint64_t tag) override { target_.Cancel(tag); }
  void Poll(int64_t deadline_ns, TargetEvents& events) override {
    if (observer_.Holding()) return absl::SleepFor(absl::Microseconds(200));
    events_ = &events;
    target_.Poll(deadline_ns, *this);
  }

 private:
  void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) override {
    events_->OnDelta(tag, delta, received_ns);
  }
  void OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) override {
    observer_.Ended();
    events_->OnEnd(tag, status, received_ns);
  }
  Observer& observer_;
  NullTarget target_;
  TargetEvents* events_ = nullptr;
};

constexpr NullTiming kQuick{200'000, 100'000, 1};

LoadResult RunOn(uint32_t threads, const Batch& batch, const LoadOptions& options,
                 Observer& observer, const NullTiming& timing = kQuick) {
  std::vector<std::unique_ptr<ObservedTarget>> targets;
  std::vector<Target*> pointers;
  for (uint32_t i = 0; i < threads; ++i) {
    targets.push_back(std::make_unique<ObservedTarget>(observer, timing));
    pointers.push_back(targets.back().get());
  }
  const std::atomic<bool> stop{false};
  return LoadGenerator(pointers).Run(batch, options, stop, nullptr);
}

TEST(ClientThreadTest, SharesAddUpToTheWhole) {
  for (uint32_t total : {0u, 1u, 5u, 64u, 1000u}) {
    for (uint32_t threads : {1u, 2u, 3u, 7u}) {
      uint32_t sum = 0;
      for (uint32_t i = 0; i < threads; ++i) sum += ShareOf(total, i, threads);
      EXPECT_EQ(sum, total);
      EXPECT_LE(ShareOf(total, 0, threads) - ShareOf(total, threads - 1, threads), 1u);
    }
  }
}

TEST(ClientThreadTest, AnyNumberOfThreadsSendsTheSameBits) {
  const Dataset dataset = MakeDataset(16, 6);  // with variations of its prompts
  for (bool open_loop : {false, true}) {
    LoadOptions options;
    options.concurrency = 12;
    if (open_loop) {
      ArrivalOptions arrivals;
      arrivals.rate = 4000;
      options.due_ns = ArrivalTimesNs(arrivals, 100);
    }
    std::map<std::string, std::string> first;
    std::vector<double> schedule;
    for (uint32_t threads : {1u, 2u, 3u, 8u}) {
      Observer observer;
      const LoadResult result = RunOn(threads, Workload(dataset, {}).Deal(100), options, observer);
      ASSERT_EQ(result.samples.requests.size(), 100u);
      EXPECT_EQ(result.client.threads(), threads);
      EXPECT_LE(observer.peak(), 12u);
      std::vector<double> scheduled;
      for (uint32_t i = 0; i < 100; ++i) {
        const RequestRecord& record = result.samples.requests[i];
        EXPECT_EQ(record.index(), i);
        EXPECT_EQ(record.output_tokens(), 6u);
        EXPECT_GE(record.send_lag_ms(), 0);
        EXPECT_GE(record.sent_ms(), record.scheduled_ms());
        scheduled.push_back(record.scheduled_ms());
      }
      if (threads == 1) {
        first = observer.sent();
        schedule = scheduled;
      }
      EXPECT_EQ(observer.sent(), first) << threads;
      if (open_loop) {
        EXPECT_EQ(scheduled, schedule) << threads;
      }
    }
  }
}

TEST(ClientThreadTest, TheTotalConcurrencyIsExact) {
  const Dataset dataset = MakeDataset(8, 3);
  for (uint32_t threads : {1u, 3u, 16u}) {
    Observer observer(10);
    LoadOptions options;
    options.concurrency = 10;
    const LoadResult result = RunOn(threads, Workload(dataset, {}).Deal(20), options, observer);
    EXPECT_EQ(observer.peak(), 10u) << threads;
    EXPECT_EQ(result.peak_in_flight, 10u);
    EXPECT_EQ(result.client.threads(), std::min(threads, 10u));
  }
}

// The schedule stands whatever the server does; what waits for a place is sent late and not blamed
// on the client.
TEST(ClientThreadTest, ACappedOpenLoopShowsWhatItOmits) {
  const Dataset dataset = MakeDataset(8, 2);
  LoadOptions options;
  options.concurrency = 1;
  options.due_ns = std::vector<int64_t>(5, 0);
  Observer observer;
  const LoadResult result =
      RunOn(2, Workload(dataset, {}).Deal(5), options, observer, {50'000'000, 1'000'000, 1});
  EXPECT_EQ(observer.peak(), 1u);
  for (uint32_t i = 0; i < 5; ++i) {
    const RequestRecord& record = result.samples.requests[i];
    EXPECT_EQ(record.scheduled_ms(), 0);
    EXPECT_GE(record.sent_ms(), 50.0 * i);
    EXPECT_LE(record.send_lag_ms(), record.sent_ms() - 50.0 * i + 0.001);
  }
}

TEST(ClientThreadTest, WithoutALimitEverythingDueIsSent) {
  const Dataset dataset = MakeDataset(8, 2);
  LoadOptions options;
  options.concurrency = 0;
  options.due_ns = std::vector<int64_t>(300, 0);
  Observer observer;
  const LoadResult result =
      RunOn(2, Workload(dataset, {}).Deal(300), options, observer, {400'000'000, 1'000'000, 1});
  EXPECT_EQ(observer.peak(), 300u);
  EXPECT_EQ(result.peak_in_flight, 300u);
  EXPECT_EQ(result.samples.requests[7].concurrency(), 0u);
}

TEST(ClientThreadTest, TheConcurrencyRampsUp) {
  const Dataset dataset = MakeDataset(8, 2);
  LoadOptions options;
  options.concurrency = 11;
  options.concurrency_ramp = absl::Milliseconds(500);
  Observer observer;
  // Nothing ends within the ramp, so each request takes a place that the ramp has added.
  const LoadResult result =
      RunOn(2, Workload(dataset, {}).Deal(11), options, observer, {2'000'000'000, 1'000'000, 1});
  for (uint32_t i = 0; i < 11; ++i) {
    EXPECT_GE(result.samples.requests[i].sent_ms(), 50.0 * i - 0.001) << i;
  }
}

TEST(ClientThreadTest, ADrawnShareIsCancelledOnPurpose) {
  const Dataset dataset = MakeDataset(8, 1000);
  LoadOptions options;
  options.concurrency = 100;
  options.cancellation_rate = 0.3;
  options.cancellation_delay = absl::Milliseconds(5);
  options.seed = 3;
  std::set<uint32_t> first;
  for (uint32_t threads : {1u, 2u}) {
    Observer observer;
    // Three seconds each if it is left alone.
    const LoadResult result = RunOn(threads, Workload(dataset, {}).Deal(100), options, observer,
                                    {1'000'000, 300'000'000, 100});
    std::set<uint32_t> cancelled;
    for (const RequestRecord& record : result.samples.requests) {
      EXPECT_EQ(record.error(), "");
      EXPECT_EQ(record.output_tokens() == 1000, !record.cancelled());
      if (record.cancelled()) cancelled.insert(record.index());
    }
    EXPECT_GT(cancelled.size(), 15u);
    EXPECT_LT(cancelled.size(), 45u);
    if (threads == 1) first = cancelled;
    EXPECT_EQ(cancelled, first);
  }
}

// Answers with token 9, then 8: what the next prompt must hold.
class TalkingTarget final : public Target {
 public:
  std::vector<GenerateRequest> requests;
  void Start(uint64_t tag, const GenerateRequest& request) override {
    requests.push_back(request);
    open_.push_back(tag);
  }
  void Cancel(uint64_t) override {}
  void Poll(int64_t deadline_ns, TargetEvents& events) override {
    if (open_.empty()) {
      absl::SleepFor(absl::Nanoseconds(std::max<int64_t>(0, deadline_ns - RealClock().NowNs())));
    }
    for (uint64_t tag : std::exchange(open_, {})) {
      TokenDelta delta;
      delta.set_count(2);
      delta.add_token_ids(9);
      delta.add_token_ids(8);
      delta.set_text("yes. ");
      delta.set_finish_reason(FINISH_REASON_LENGTH);
      events.OnDelta(tag, delta, RealClock().NowNs());
      events.OnEnd(tag, absl::OkStatus(), RealClock().NowNs());
    }
  }

 private:
  std::vector<uint64_t> open_;
};

TEST(ClientThreadTest, ASessionsNextTurnHoldsTheRealAnswer) {
  Dataset dataset = MakeDataset(1, 2);
  DatasetTurn second;
  second.input_ids = {5};
  second.output_tokens = 2;
  second.delay_ms = 20;
  DatasetTurn third = second;
  third.input_ids = {6, 7};
  dataset.entries[0].next_turns = {second, third};
  const std::atomic<bool> stop{false};
  TalkingTarget target;
  const LoadResult result =
      LoadGenerator(target).Run(Workload(dataset, {}).Deal(1), LoadOptions(), stop, nullptr);
  EXPECT_FALSE(result.cut_short);
  ASSERT_EQ(target.requests.size(), 3u);
  const auto ids = [&](int i) {
    const auto& field = target.requests[i].token_ids().ids();
    return std::vector<uint32_t>(field.begin(), field.end());
  };
  EXPECT_THAT(ids(0), ::testing::ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(ids(1), ::testing::ElementsAre(1, 2, 3, 0, 9, 8, 5));
  EXPECT_THAT(ids(2), ::testing::ElementsAre(1, 2, 3, 0, 9, 8, 5, 9, 8, 6, 7));
  EXPECT_TRUE(target.requests[1].return_token_ids());
  EXPECT_FALSE(target.requests[2].return_token_ids());
  ASSERT_EQ(result.samples.requests.size(), 3u);
  for (uint32_t turn = 0; turn < 3; ++turn) {
    const RequestRecord& record = result.samples.requests[turn];
    EXPECT_EQ(record.index(), turn);
    EXPECT_EQ(record.turn(), turn);
    if (turn == 0) continue;
    const RequestRecord& before = result.samples.requests[turn - 1];
    EXPECT_GE(record.sent_ms(), before.last_token_ms() + 20);
    EXPECT_GE(record.scheduled_ms(), before.last_token_ms() + 20);
    EXPECT_GE(record.sent_ms(), record.scheduled_ms());
  }
}

TEST(ClientThreadTest, ASessionOfTextGoesOnInText) {
  Dataset dataset = MakeDataset(1, 2);
  dataset.entries[0].input_ids.clear();
  dataset.entries[0].prompt = "Is it? ";
  DatasetTurn second;
  second.prompt = "Why?";
  second.output_tokens = 2;
  dataset.entries[0].next_turns = {second};
  const std::atomic<bool> stop{false};
  TalkingTarget target;
  LoadGenerator(target).Run(Workload(dataset, {}).Deal(1), LoadOptions(), stop, nullptr);
  ASSERT_EQ(target.requests.size(), 2u);
  EXPECT_EQ(target.requests[1].text(), "Is it? yes. Why?");
  EXPECT_TRUE(target.requests[0].return_text());
}

}  // namespace
}  // namespace regatta
