// What two descriptions of a cluster say of the time between them.
#include "orchestrator/benchmark/layout_change.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/layout.h"

namespace regatta {
namespace {

ClusterDescription Cluster(const Layout& layout, const std::vector<uint64_t>& epochs) {
  ClusterDescription cluster;
  *cluster.mutable_layout() = layout;
  for (size_t i = 0; i < epochs.size(); ++i) {
    GroupDescription& group = *cluster.add_groups();
    group.set_group(i);
    group.set_epoch(epochs[i]);
  }
  return cluster;
}

TEST(LayoutChangeTest, NamesBothLayouts) {
  const ClusterDescription before = Cluster(*MakeLayout(4, 1, 1, 1), {1});
  EXPECT_EQ(LayoutChange(before, Cluster(*MakeLayout(2, 1, 1, 2), {2, 3})), "tp4 -> tp2-dp2");
  EXPECT_EQ(LayoutChange(before, before), "");
}

// A pool that went to another layout and back, or lost a rank, has other epochs.
TEST(LayoutChangeTest, GroupsOfAnotherLifeAreSaid) {
  const Layout two = *MakeLayout(1, 1, 1, 2);
  EXPECT_EQ(LayoutChange(Cluster(two, {1, 2}), Cluster(two, {1, 3})), "group 1 was re-formed");
  EXPECT_EQ(LayoutChange(Cluster(two, {1, 2}), Cluster(two, {4, 3})),
            "group 0 was re-formed, group 1 was re-formed");
  EXPECT_EQ(LayoutChange(Cluster(two, {1, 2}), Cluster(two, {1})), "group 1 was lost");
}

}  // namespace
}  // namespace regatta
