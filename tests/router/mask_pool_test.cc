// Masks computed by several threads: right, in order, and none after the end.
#include "router/mask_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/sim/fake_constraint.h"

namespace regatta {
namespace {

// Waits before it fills.
class SlowConstraint final : public OutputConstraint {
 public:
  SlowConstraint(absl::Duration time, std::atomic<int>& filled) : time_(time), filled_(filled) {}
  MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t) override {
    absl::SleepFor(time_);
    mask[0] = 1;
    ++filled_;
    return {};
  }
  bool Accept(uint32_t) override { return true; }

 private:
  const absl::Duration time_;
  std::atomic<int>& filled_;
};

class MaskPoolTest : public testing::Test {
 protected:
  void Start(uint32_t threads, uint32_t vocab_size) {
    pool_ = std::make_unique<MaskPool>(threads, vocab_size, [this](StepMasks masks) {
      absl::MutexLock lock(&mutex_);
      work_.push_back(std::move(masks.work));
      sent_.push_back(std::move(masks.input));
    });
  }
  bool AwaitSent(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto sent = [&] { return sent_.size() >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&sent), absl::Seconds(20));
  }

  absl::Mutex mutex_;
  std::vector<SampleInput> sent_;
  std::vector<std::vector<MaskWork>> work_;  // of sent_
  std::unique_ptr<MaskPool> pool_;
};

TEST_F(MaskPoolTest, EveryEntryGetsItsMaskAndStepsKeepTheirOrder) {
  Start(3, sim::kMaskedVocab);
  constexpr uint64_t kSteps = 200;
  for (uint64_t step = 1; step <= kSteps; ++step) {
    MaskLedger::Due due{step, {}, {}};
    for (uint64_t i = 0; i < 1 + step % 7; ++i) {
      due.ids.push_back(i);
      due.constraints.push_back(i == 3 ? nullptr
                                       : std::make_shared<sim::FakeConstraint>(step * 100 + i));
    }
    pool_->Compute(std::move(due));
  }
  ASSERT_TRUE(AwaitSent(kSteps));
  for (uint64_t step = 1; step <= kSteps; ++step) {
    const SampleInput& input = sent_[step - 1];
    ASSERT_EQ(input.step_id(), step);
    const size_t entries = 1 + step % 7;
    ASSERT_EQ(input.masks().size(), entries * sim::kMaskWords * sizeof(uint32_t));
    std::vector<uint32_t> words(entries * sim::kMaskWords), want(sim::kMaskWords);
    std::memcpy(words.data(), input.masks().data(), input.masks().size());
    for (uint64_t i = 0; i < entries; ++i) {
      if (i == 3) {
        want.assign(sim::kMaskWords, ~0u);
      } else {
        sim::FakeConstraint(step * 100 + i).FillMask(absl::MakeSpan(want), kAnyMaskWork);
      }
      EXPECT_TRUE(std::equal(want.begin(), want.end(), words.begin() + i * sim::kMaskWords));
    }
  }
  EXPECT_FALSE(pool_->Computing(kSteps));
}

// Needs so much work, in as many pieces as it likes; counts what it was allowed.
class CostlyConstraint final : public OutputConstraint {
 public:
  explicit CostlyConstraint(uint64_t needs) : needs_(needs) {}
  MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t work) override {
    const uint64_t spent = std::min(work, needs_ - done_);
    done_ += spent;
    mask[0] = done_ == needs_;
    return {spent, done_ < needs_};
  }
  bool Accept(uint32_t) override { return true; }
  uint64_t done() const { return done_; }

 private:
  const uint64_t needs_;
  uint64_t done_ = 0;
};

TEST_F(MaskPoolTest, CostlyMasksShareWhatTheOthersLeaveOfAStep) {
  Start(3, 32);
  constexpr uint64_t kEndless = uint64_t{1} << 50;
  constexpr size_t kHostile = 64;
  std::vector<std::shared_ptr<CostlyConstraint>> all;
  MaskLedger::Due due{1, {}, {}};
  const auto add = [&](uint64_t needs) {
    all.push_back(std::make_shared<CostlyConstraint>(needs));
    due.ids.push_back(all.size());
    due.constraints.push_back(all.back());
  };
  for (size_t i = 0; i < kHostile / 2; ++i) add(kEndless);
  add(1000);                                  // ordinary
  add(kMaxStepMaskWork / kHostile * 9 / 10);  // more than a share of the first round
  for (size_t i = 0; i < kHostile / 2; ++i) add(kEndless);
  for (size_t i = 0; i < kHostile; ++i) add(10);
  pool_->Compute(std::move(due));
  ASSERT_TRUE(AwaitSent(1));
  uint64_t together = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(work_[0][i].id, i + 1);
    EXPECT_EQ(work_[0][i].work, all[i]->done());
    together += all[i]->done();
  }
  EXPECT_LE(together, kMaxStepMaskWork);
  EXPECT_GT(together, kMaxStepMaskWork - kHostile * kLeastMaskWork);
  EXPECT_EQ(all[kHostile / 2]->done(), 1000u);
  EXPECT_EQ(all[kHostile / 2 + 1]->done(), kMaxStepMaskWork / kHostile * 9 / 10);
}

TEST_F(MaskPoolTest, AStepThatIsDoneWaitsForTheOneBeforeIt) {
  Start(2, 32);
  std::atomic<int> filled = 0;
  pool_->Compute({1, {7}, {std::make_shared<SlowConstraint>(absl::Milliseconds(100), filled)}});
  pool_->Compute({2, {7}, {nullptr}});
  EXPECT_TRUE(pool_->Computing(1));
  EXPECT_TRUE(pool_->Computing(2));
  ASSERT_TRUE(AwaitSent(2));
  EXPECT_EQ(sent_[0].step_id(), 1u);
  EXPECT_EQ(sent_[1].step_id(), 2u);
}

TEST_F(MaskPoolTest, StopWaitsForWhatIsBegunAndSendsNothingMore) {
  Start(1, 32);
  std::atomic<int> filled = 0;
  for (uint64_t step = 1; step <= 20; ++step) {
    pool_->Compute({step, {7}, {std::make_shared<SlowConstraint>(absl::Milliseconds(10), filled)}});
  }
  ASSERT_TRUE(AwaitSent(2));
  pool_->Stop();
  const int filled_at_stop = filled;
  size_t sent_at_stop = 0;
  {
    absl::MutexLock lock(&mutex_);
    sent_at_stop = sent_.size();
  }
  EXPECT_LT(filled_at_stop, 20);
  pool_->Compute({21, {7}, {std::make_shared<SlowConstraint>(absl::ZeroDuration(), filled)}});
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(filled, filled_at_stop);
  EXPECT_EQ(sent_.size(), sent_at_stop);
}

}  // namespace
}  // namespace regatta
