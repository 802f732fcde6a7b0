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
  void FillMask(absl::Span<uint32_t> mask) override {
    absl::SleepFor(time_);
    mask[0] = 1;
    ++filled_;
  }
  bool Accept(uint32_t) override { return true; }

 private:
  const absl::Duration time_;
  std::atomic<int>& filled_;
};

class MaskPoolTest : public testing::Test {
 protected:
  void Start(uint32_t threads, uint32_t vocab_size) {
    pool_ = std::make_unique<MaskPool>(threads, vocab_size, [this](SampleInput input) {
      absl::MutexLock lock(&mutex_);
      sent_.push_back(std::move(input));
    });
  }
  bool AwaitSent(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto sent = [&] { return sent_.size() >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&sent), absl::Seconds(20));
  }

  absl::Mutex mutex_;
  std::vector<SampleInput> sent_;
  std::unique_ptr<MaskPool> pool_;
};

TEST_F(MaskPoolTest, EveryEntryGetsItsMaskAndStepsKeepTheirOrder) {
  Start(3, sim::kMaskedVocab);
  constexpr uint64_t kSteps = 200;
  for (uint64_t step = 1; step <= kSteps; ++step) {
    MaskLedger::Due due{step, {}};
    for (uint64_t i = 0; i < 1 + step % 7; ++i) {
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
        sim::FakeConstraint(step * 100 + i).FillMask(absl::MakeSpan(want));
      }
      EXPECT_TRUE(std::equal(want.begin(), want.end(), words.begin() + i * sim::kMaskWords));
    }
  }
  EXPECT_FALSE(pool_->Computing(kSteps));
}

TEST_F(MaskPoolTest, AStepThatIsDoneWaitsForTheOneBeforeIt) {
  Start(2, 32);
  std::atomic<int> filled = 0;
  pool_->Compute({1, {std::make_shared<SlowConstraint>(absl::Milliseconds(100), filled)}});
  pool_->Compute({2, {nullptr}});
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
    pool_->Compute({step, {std::make_shared<SlowConstraint>(absl::Milliseconds(10), filled)}});
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
  pool_->Compute({21, {std::make_shared<SlowConstraint>(absl::ZeroDuration(), filled)}});
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(filled, filled_at_stop);
  EXPECT_EQ(sent_.size(), sent_at_stop);
}

}  // namespace
}  // namespace regatta
