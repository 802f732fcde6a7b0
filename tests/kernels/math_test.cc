// Philox against the known answers of Random123; exponential against the standard library; sums and
// maxima of any length.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/vector_math.h"
#include "kernels/cpu/vectorize.h"
#include "kernels/philox.h"

namespace regatta {
namespace {

void ExpectPhilox(PhiloxBlock counter, uint32_t key0, uint32_t key1, PhiloxBlock want) {
  const PhiloxBlock got = Philox4x32(counter, key0, key1);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(got.word[i], want.word[i]) << "word " << i;
}

// kat_vectors of the Random123 distribution, philox4x32 10.
TEST(Philox, KnownAnswers) {
  ExpectPhilox({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  ExpectPhilox({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
               {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  ExpectPhilox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
               {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST(Philox, UniformsFillTheUnitInterval) {
  constexpr int kDraws = 100000;
  double sum = 0, squares = 0, least = 1, most = 0;
  for (uint32_t i = 0; i < kDraws; ++i) {
    const double u = UniformOf(42, i);
    sum += u;
    squares += u * u;
    least = std::min(least, u);
    most = std::max(most, u);
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kDraws));
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_NE(UniformOf(1, 0), UniformOf(uint64_t{1} << 32, 0)) << "all 64 bits of the seed count";
}

TEST(VectorMath, ExpIsWithinTwoUnitsInTheLastPlace) {
  std::vector<float> x;
  for (float value = -86; value < 88.7f; value += 0.000717f) x.push_back(value);
  std::vector<float> got(x.size());
  for (const VectorIsa isa : {VectorIsa::kBaseline, VectorIsa::kAvx2, VectorIsa::kAvx512}) {
    if (isa > HostVectorIsa()) continue;
    Vectorized(isa, [&](auto) {
      for (size_t i = 0; i < x.size(); ++i) got[i] = Exp(x[i]);
    });
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(got[i] / want, 1, 2 * 0x1p-23) << x[i] << " with " << VectorIsaName(isa);
    }
  }
}

TEST(VectorMath, ExpAtItsEdges) {
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-INFINITY), 0);
  EXPECT_EQ(Exp(-1e30f), 0);
  EXPECT_EQ(Exp(INFINITY), INFINITY);
  EXPECT_EQ(Exp(89), INFINITY);
  EXPECT_TRUE(std::isnan(Exp(NAN)));
}

TEST(VectorMath, SigmoidAndSiluAtExtremes) {
  EXPECT_EQ(Sigmoid(-200), 0);
  EXPECT_EQ(Sigmoid(200), 1);
  EXPECT_EQ(Silu(-200), 0);
  EXPECT_EQ(Silu(200), 200);
}

TEST(VectorMath, SumsAndMaximaOfEveryLength) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> small(-100, 100);
  for (int64_t n = 0; n < 70; ++n) {
    std::vector<float> values(n);
    for (float& value : values) value = static_cast<float>(small(random));
    double sum = 0;
    float max = -INFINITY;
    for (const float value : values) {
      sum += value;
      max = std::max(max, value);
    }
    EXPECT_EQ(FixedOrderSum(n, [&](int64_t i) { return values[i]; }), sum) << n;
    EXPECT_EQ(Max(n, [&](int64_t i) { return values[i]; }), max) << n;
  }
}

}  // namespace
}  // namespace regatta
