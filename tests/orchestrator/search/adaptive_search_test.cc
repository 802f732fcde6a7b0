// The search on simulated systems whose edges and knees are known.
#include "orchestrator/search/adaptive_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <vector>

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

// A server that decodes all running sequences in one step of fixed_ms + row_ms x sequences, holds
// at most `slots` of them, and lets the others wait.
struct Server {
  double fixed_ms = 10;
  double row_ms = 0.1;
  uint32_t slots = 1 << 20;
  double noise = 0;  // of speed and throughput, relative
  uint64_t seed = 0;

  double Noise(uint32_t users) const {
    const uint64_t hash = (users * 0x9E3779B97F4A7C15u + seed + 1) * 0xBF58476D1CE4E5B9u;
    return 1 + noise * (2 * static_cast<double>(hash >> 11) * 0x1.0p-53 - 1);
  }
  double Speed(double users) const {
    return 1000 / (fixed_ms + row_ms * std::min<double>(users, slots));
  }
  MeasuredLoad Measure(uint32_t users, const std::vector<double>& speeds) const {
    MeasuredLoad load;
    load.concurrency = users;
    load.user_speed = Speed(users) * Noise(users);
    load.throughput = load.user_speed * std::min(users, slots);
    for (const double speed : speeds) {
      load.meets.push_back(load.user_speed >= speed && users <= slots);
    }
    return load;
  }
};

struct Search {
  std::vector<MeasuredLoad> measured;
  std::vector<uint32_t> order;
  std::string ended;

  // The largest load that meets the objective, 0 for none.
  uint32_t Edge(size_t objective = 0) const {
    uint32_t edge = 0;
    for (const MeasuredLoad& load : measured) {
      if (load.meets[objective]) edge = std::max(edge, load.concurrency);
    }
    return edge;
  }
};

Search SearchBy(const SearchLimits& limits, const std::function<MeasuredLoad(uint32_t)>& measure) {
  Search search;
  for (;;) {
    const NextLoad next = ChooseNextLoad(limits, search.measured);
    if (!next.concurrency) {
      search.ended = next.reason;
      return search;
    }
    EXPECT_THAT(search.order, ::testing::Not(::testing::Contains(*next.concurrency)));
    EXPECT_LE(*next.concurrency, limits.max_concurrency);
    search.order.push_back(*next.concurrency);
    search.measured.push_back(measure(*next.concurrency));
    if (search.order.size() > 1000) {
      ADD_FAILURE() << "the search does not end";
      return search;
    }
  }
}

Search SearchBy(const SearchLimits& limits, const Server& server,
                const std::vector<double>& speeds) {
  return SearchBy(limits, [&](uint32_t users) { return server.Measure(users, speeds); });
}

SearchLimits OnlyEdges() {
  SearchLimits limits;
  limits.whole_frontier = false;
  limits.find_knee = false;
  return limits;
}

// Within the tolerance of an edge, and of the integers around it.
void ExpectNear(double found, double truth, double tolerance) {
  EXPECT_GE(found, truth * (1 - tolerance) - 1);
  EXPECT_LE(found, truth * (1 + tolerance) + 1);
}

TEST(AdaptiveSearchTest, FindsTheEdgeOfASpeed) {
  // 1000 / (10 + 0.1 users) >= 50: 100 users.
  const Search search = SearchBy(OnlyEdges(), Server(), {50});
  EXPECT_THAT(search.order, ElementsAre(1, 2, 4, 8, 16, 32, 64, 128, 256, 96, 112, 104, 100));
  EXPECT_EQ(search.Edge(), 100u);
  EXPECT_THAT(search.ended, HasSubstr("128 and 256 users miss the goal"));
}

TEST(AdaptiveSearchTest, FindsAnyEdgeInFewPointsWhateverTheNoise) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Server server;
    server.row_ms = 0.02 + 0.005 * static_cast<double>(seed);
    server.noise = seed % 4 * 0.01;
    server.seed = seed;
    const double truth = (20 - server.fixed_ms) / server.row_ms;
    SearchLimits limits = OnlyEdges();
    limits.max_concurrency = 4096;
    const Search search = SearchBy(limits, server, {50});
    // Speed falls by half of what users grow there: noise moves the edge by twice its own size.
    ExpectNear(search.Edge(), truth, kEdgeTolerance + 2.2 * server.noise);
    EXPECT_LE(search.order.size(), std::log2(truth) + 9) << "seed " << seed;
  }
}

TEST(AdaptiveSearchTest, FindsTheKneeOfABatchLimit) {
  Server server;
  server.slots = 150;
  SearchLimits limits;
  limits.whole_frontier = false;
  const Search search = SearchBy(limits, server, {});
  // Throughput b / (10 + 0.1 b): 98 % of that of 150 slots at 143.2.
  ExpectNear(KneeOf(search.measured), 143.2, kEdgeTolerance);
  EXPECT_EQ(*std::max_element(search.order.begin(), search.order.end()), 512u);
  EXPECT_THAT(search.ended, HasSubstr("gains less than 3 %"));
}

TEST(AdaptiveSearchTest, FindsTheBestBoundedThroughputAtTheBound) {
  SearchLimits limits;
  limits.whole_frontier = false;
  const Search search = SearchBy(limits, Server(), {50});
  ExpectNear(search.Edge(), 100, kEdgeTolerance);
  EXPECT_LE(search.order.size(), 16u);
}

TEST(AdaptiveSearchTest, ASystemSaturatedByOneUserEndsAtOnce) {
  Server server;
  server.fixed_ms = 0;
  server.row_ms = 10;  // all users share 100 tok/s
  const Search search = SearchBy(SearchLimits(), server, {60});
  EXPECT_EQ(search.Edge(), 1u);
  EXPECT_EQ(KneeOf(search.measured), 1u);
  EXPECT_THAT(search.order, ElementsAre(1, 2));
  EXPECT_THAT(search.ended, HasSubstr("from 1 to 2 users"));
}

TEST(AdaptiveSearchTest, AGoalThatIsNeverMetEndsAfterTwoLoads) {
  const Search search = SearchBy(OnlyEdges(), Server(), {500});
  EXPECT_EQ(search.Edge(), 0u);
  EXPECT_THAT(search.order, ElementsAre(1, 2));
  EXPECT_THAT(search.ended, HasSubstr("1 and 2 users miss the goal"));
}

TEST(AdaptiveSearchTest, ANeverMetGoalDoesNotEndASweepOfTheWholeFrontier) {
  const Search search = SearchBy(SearchLimits(), Server(), {500});
  EXPECT_THAT(search.order, ::testing::Contains(1024));
}

TEST(AdaptiveSearchTest, ADipIsNoEdge) {
  // Eight users are served badly (as by a graph size that is missing), sixteen well.
  const Search search = SearchBy(OnlyEdges(), [](uint32_t users) {
    MeasuredLoad load = Server().Measure(users, {50});
    if (users == 8) load.meets[0] = false;
    if (users == 8) load.throughput /= 3;
    return load;
  });
  EXPECT_EQ(search.Edge(), 100u);
}

TEST(AdaptiveSearchTest, AServerThatThrashesEndsTheSearch) {
  SearchLimits limits;
  limits.max_points = 60;
  const Search search = SearchBy(limits, [](uint32_t users) {
    MeasuredLoad load = Server().Measure(users, {50});
    if (users > 200) load.throughput /= 0.02 * users;
    return load;
  });
  EXPECT_EQ(*std::max_element(search.order.begin(), search.order.end()), 512u);
  EXPECT_THAT(search.ended, HasSubstr("from 128 to 512 users"));
  ExpectNear(KneeOf(search.measured), 200, 0.1);
}

TEST(AdaptiveSearchTest, ALimitOfTheLoadIsHeldAndSaid) {
  SearchLimits limits = OnlyEdges();
  limits.max_concurrency = 48;
  const Search search = SearchBy(limits, Server(), {50});
  EXPECT_THAT(search.order, ElementsAre(1, 2, 4, 8, 16, 32, 48));
  EXPECT_THAT(search.ended, HasSubstr("the largest load allowed is 48 users"));
}

TEST(AdaptiveSearchTest, ALoadAtTheLimitThatStillGainsIsNoKnee) {
  Server server;
  server.row_ms = 0;
  SearchLimits limits;
  limits.whole_frontier = false;
  limits.max_concurrency = 32;
  EXPECT_THAT(SearchBy(limits, server, {}).order, ElementsAre(1, 2, 4, 8, 16, 32));
}

TEST(AdaptiveSearchTest, ALimitOfPointsIsHeldAndTheNextOneNamed) {
  SearchLimits limits = OnlyEdges();
  limits.max_points = 10;
  const Search search = SearchBy(limits, Server(), {50});
  EXPECT_EQ(search.order.size(), 10u);
  EXPECT_THAT(search.ended, AllOf(HasSubstr("10 loads"), HasSubstr("next: 112 users")));
}

TEST(AdaptiveSearchTest, SeveralSpeedsHaveAnEdgeEach) {
  SearchLimits limits;
  limits.max_points = 40;
  const Search search = SearchBy(limits, Server(), {80, 50, 25});
  ExpectNear(search.Edge(0), 25, kEdgeTolerance);
  ExpectNear(search.Edge(1), 100, kEdgeTolerance);
  ExpectNear(search.Edge(2), 300, kEdgeTolerance);
}

TEST(AdaptiveSearchTest, NoWideGapOfTheFrontierIsLeft) {
  SearchLimits limits;
  limits.max_points = 100;
  const Search search = SearchBy(limits, Server(), {50});
  std::vector<MeasuredLoad> loads = search.measured;
  std::sort(loads.begin(), loads.end(),
            [](const auto& a, const auto& b) { return a.concurrency < b.concurrency; });
  for (size_t i = 1; i < loads.size(); ++i) {
    const double gap = std::hypot(std::log(loads[i - 1].user_speed / loads[i].user_speed),
                                  std::log(loads[i].throughput / loads[i - 1].throughput));
    if (loads[i].concurrency - loads[i - 1].concurrency > 1) {
      EXPECT_LE(gap, kFrontierGap) << loads[i].concurrency;
    }
  }
}

TEST(AdaptiveSearchTest, GoesOnFromAnyPrefixInAnyOrder) {
  Server server;
  server.noise = 0.02;
  const Search whole = SearchBy(SearchLimits(), server, {80, 50});
  for (size_t known = 0; known <= whole.order.size(); ++known) {
    std::vector<MeasuredLoad> prefix(whole.measured.begin(), whole.measured.begin() + known);
    std::reverse(prefix.begin(), prefix.end());
    const NextLoad next = ChooseNextLoad(SearchLimits(), prefix);
    if (known == whole.order.size()) {
      EXPECT_FALSE(next.concurrency.has_value());
    } else {
      EXPECT_EQ(next.concurrency, whole.order[known]);
    }
  }
}

TEST(AdaptiveSearchTest, LoadsAtWhichNothingCameAreNoKneeAndNoFrontier) {
  const Search search = SearchBy(SearchLimits(), [](uint32_t users) {
    MeasuredLoad load;
    load.concurrency = users;
    return load;
  });
  EXPECT_EQ(KneeOf(search.measured), 0u);
  EXPECT_LE(search.order.size(), 24u);
}

}  // namespace
}  // namespace regatta
