// When the masks of a step can be computed, and of whom.
#include "router/scheduler/mask_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/fake_constraint.h"

namespace regatta {
namespace {

using sim::FakeConstraint;
using testing::ElementsAre;

class MaskLedgerTest : public testing::Test {
 protected:
  std::shared_ptr<FakeConstraint> Add(uint64_t id) {
    auto constraint = std::make_shared<FakeConstraint>(id);
    ledger_.Add(id, constraint);
    return constraint;
  }
  // Steps whose masks are due now.
  std::vector<uint64_t> Due() {
    std::vector<uint64_t> steps;
    while (auto due = ledger_.TakeDue()) steps.push_back(due->step_id);
    return steps;
  }

  MaskLedger ledger_;
};

TEST_F(MaskLedgerTest, AStepWaitsForTheTokensBeforeIt) {
  Add(1);
  EXPECT_FALSE(ledger_.idle());
  ledger_.Planned(5, {1});
  ledger_.Planned(6, {1});
  ledger_.Planned(8, {1});
  EXPECT_THAT(Due(), ElementsAre(5));
  ledger_.Committed(4);
  EXPECT_THAT(Due(), ElementsAre());
  ledger_.Committed(5);
  EXPECT_THAT(Due(), ElementsAre(6));
  ledger_.Committed(7);
  EXPECT_THAT(Due(), ElementsAre(8));
}

TEST_F(MaskLedgerTest, StepsOfOthersDoNotWaitButKeepTheirOrder) {
  for (const uint64_t id : {1, 2, 3}) Add(id);
  ledger_.Planned(1, {1, 2});
  ledger_.Planned(2, {3});  // another cohort
  ledger_.Planned(3, {2});
  ledger_.Planned(4, {3});
  EXPECT_THAT(Due(), ElementsAre(1, 2));
  ledger_.Committed(1);
  EXPECT_THAT(Due(), ElementsAre(3));
  ledger_.Committed(2);
  EXPECT_THAT(Due(), ElementsAre(4));
}

TEST_F(MaskLedgerTest, WhoHasEndedHasNoConstraint) {
  Add(1);
  const auto second = Add(2);
  ledger_.Planned(1, {1, 2});
  ledger_.Remove(1);
  ledger_.Remove(7);
  const auto due = ledger_.TakeDue();
  ASSERT_TRUE(due.has_value());
  EXPECT_THAT(due->constraints, ElementsAre(nullptr, second));
  ledger_.Remove(2);
  EXPECT_TRUE(ledger_.idle());
}

TEST_F(MaskLedgerTest, TokensGoToTheConstraintOfTheirSequence) {
  const auto constraint = Add(1);
  std::vector<uint32_t> mask(sim::kMaskWords);
  constraint->FillMask(absl::MakeSpan(mask), kAnyMaskWork);
  uint32_t allowed = 0, refused = 0;
  while ((mask[allowed / 32] >> (allowed % 32) & 1) == 0) ++allowed;
  while ((mask[refused / 32] >> (refused % 32) & 1) != 0) ++refused;
  EXPECT_TRUE(ledger_.Accept(9, {refused})) << "it has no constraint";
  EXPECT_FALSE(ledger_.Accept(1, {refused}));
  EXPECT_EQ(constraint->accepted(), 0u);
  EXPECT_TRUE(ledger_.Accept(1, {allowed}));
  EXPECT_EQ(constraint->accepted(), 1u);
}

}  // namespace
}  // namespace regatta
