// Routing through rows of the given scales follows the asked popularity.
#include "worker/weights/router_skew.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace regatta {
namespace {

// Shares of tokens that chose each expert, most popular first: logits are independent, normal and
// scaled, the largest `chosen` win.
std::vector<double> MeasuredPopularity(const std::vector<float>& scales, int chosen) {
  constexpr int kTokens = 20000;
  const int experts = static_cast<int>(scales.size());
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  std::vector<double> logits(experts), shares(experts);
  std::vector<int> order(experts);
  for (int token = 0; token < kTokens; ++token) {
    for (int e = 0; e < experts; ++e) logits[e] = scales[e] * normal(random);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + chosen, order.end(),
                      [&](int a, int b) { return logits[a] > logits[b]; });
    for (int i = 0; i < chosen; ++i) shares[order[i]] += 1.0 / kTokens;
  }
  std::sort(shares.rbegin(), shares.rend());
  return shares;
}

TEST(RouterSkew, PopularityIsAPowerOfTheRankUpToItsLimit) {
  const std::vector<double> mild = ExpertPopularity(128, 8, 0.5);
  EXPECT_NEAR(mild[3] / mild[15], 2, 1e-9) << "(16 / 4)^0.5";
  EXPECT_NEAR(std::accumulate(mild.begin(), mild.end(), 0.0), 8, 1e-9);
  const std::vector<double> strong = ExpertPopularity(128, 8, 1);
  EXPECT_EQ(strong[0], kMostPopular);
  EXPECT_NEAR(strong[20] / strong[41], 2, 1e-9) << "the rest keeps its law";
  EXPECT_NEAR(std::accumulate(strong.begin(), strong.end(), 0.0), 8, 1e-9);
}

TEST(RouterSkew, RoutedTokensFollowIt) {
  for (const double skew : {0.5, 1.0}) {
    const std::vector<double> want = ExpertPopularity(128, 8, skew);
    const std::vector<double> got = MeasuredPopularity(RouterRowScales(128, 8, skew, 7), 8);
    for (const int rank : {0, 3, 10, 40, 100}) {
      EXPECT_NEAR(got[rank] / want[rank], 1, 0.25) << "skew " << skew << " rank " << rank;
    }
  }
}

TEST(RouterSkew, NoSkewAndSmallModelsAreLeftAlone) {
  EXPECT_EQ(RouterRowScales(8, 2, 0, 1), std::vector<float>(8, 1));
  EXPECT_EQ(RouterRowScales(4, 2, 1, 1), std::vector<float>(4, 1)) << "half of all are chosen";
}

TEST(RouterSkew, TheKeyDecidesWhoIsPopular) {
  const std::vector<float> a = RouterRowScales(64, 4, 1, 1), b = RouterRowScales(64, 4, 1, 2);
  EXPECT_NE(a, b);
  EXPECT_TRUE(std::is_permutation(a.begin(), a.end(), b.begin()));
}

}  // namespace
}  // namespace regatta
