// Rotary tables against closed forms and against transformers' own (5.17, float32).
#include "worker/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "tests/testing/models.h"

namespace regatta {
namespace {

using Golden = std::vector<std::pair<int, double>>;  // index, frequency

void ExpectFrequencies(const RopeSpec& rope, int head_dim, const Golden& golden) {
  const std::vector<float> frequencies = RopeFrequencies(rope, head_dim);
  ASSERT_EQ(frequencies.size(), head_dim / 2);
  for (auto [i, expected] : golden) EXPECT_NEAR(frequencies[i], expected, expected * 3e-7) << i;
}

RopeSpec Llama31Rope() { return PublishedModel("llama-3.1-8b").rope; }

RopeSpec YarnRope() {
  RopeSpec rope;
  rope.kind = RopeKind::kYarn;
  rope.theta = 1e6;
  rope.factor = 4;
  rope.original_max_position = 32768;
  rope.attention_factor = 0.1 * std::log(4) + 1;
  return rope;
}

struct Point {
  int position;
  int index;
  double cosine;
  double sine;
};

// Frequencies may differ by a unit in the last place, which `tolerance` times the position allows.
void ExpectTable(const RopeSpec& rope, const std::vector<Point>& golden) {
  constexpr int kHeadDim = 128;
  const std::vector<float> table = MakeRopeTable(rope, 100'001, kHeadDim);
  for (const Point& point : golden) {
    const double tolerance = 1e-6 + 6e-8 * point.position;
    const float* row = table.data() + static_cast<size_t>(point.position) * kHeadDim;
    EXPECT_NEAR(row[point.index], point.cosine, tolerance) << point.position << " " << point.index;
    EXPECT_NEAR(row[64 + point.index], point.sine, tolerance)
        << point.position << " " << point.index;
  }
}

TEST(RopeTableTest, DefaultIsAGeometricSeries) {
  ExpectFrequencies(RopeSpec(), 8, {{0, 1}, {1, 0.1}, {2, 0.01}, {3, 0.001}});
  const std::vector<float> table = MakeRopeTable(RopeSpec(), 3, 8);
  ASSERT_EQ(table.size(), 24);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(table[i], 1) << "cos 0";
    EXPECT_EQ(table[4 + i], 0) << "sin 0";
    EXPECT_NEAR(table[16 + i], std::cos(2 * std::pow(10, -i)), 1e-6);
    EXPECT_NEAR(table[20 + i], std::sin(2 * std::pow(10, -i)), 1e-6);
  }
  ExpectTable(RopeSpec(), {{1, 1, 0.64790583, 0.76172042},
                           {1, 20, 0.99841928, 0.05620449},
                           {1000, 20, 0.95093858, -0.30937976},
                           {1000, 63, 0.99333978, 0.11522171}});
}

TEST(RopeTableTest, LinearDividesFrequencies) {
  RopeSpec rope;
  rope.kind = RopeKind::kLinear;
  rope.factor = 4;
  ExpectFrequencies(rope, 128, {{0, 0.25}, {1, 2.164910883e-01}, {63, 2.886954826e-05}});
  ExpectTable(rope, {{1000, 1, -0.96138519, 0.27520624}, {1000, 63, 0.99958330, 0.02886554}});
}

TEST(RopeTableTest, Llama3KeepsShortWavesAndStretchesLongOnes) {
  ExpectFrequencies(Llama31Rope(), 128,
                    {{1, 8.146172166e-01},   // kept
                     {20, 1.656044088e-02},  // kept
                     {29, 2.166570630e-03},  // blended
                     {34, 1.785077911e-04},  // blended
                     {35, 9.556212171e-05},  // divided by 8
                     {63, 3.068925878e-07}});
  ExpectTable(Llama31Rope(), {{1, 1, 0.68614691, 0.72746301},
                              {1000, 20, -0.65812033, -0.75291276},
                              {1000, 30, 0.19759376, 0.98028398},
                              {100000, 1, 0.97562557, 0.21944192},
                              {100000, 30, 0.50560337, -0.86276603},
                              {100000, 63, 0.99952912, 0.03068444}});
}

TEST(RopeTableTest, YarnRampsAndScales) {
  ExpectFrequencies(YarnRope(), 128,
                    {{1, 8.058422208e-01},
                     {23, 6.978305988e-03},  // first of the ramp: kept
                     {24, 5.375321489e-03},
                     {35, 2.462583943e-04},
                     {40, 4.445698505e-05},  // last of the ramp: divided by 4
                     {63, 3.102344408e-07}});
  ExpectTable(YarnRope(), {{1, 1, 0.78850532, 0.82142341},
                           {1, 63, 1.13862944, 0.00000035},
                           {1000, 20, 0.81834996, 0.79169458},
                           {1000, 30, 0.55230719, 0.99570769}});
}

TEST(RopeTableTest, YarnWithoutTruncation) {
  RopeSpec rope = YarnRope();
  rope.truncate = false;
  ExpectFrequencies(rope, 128,
                    {{23, 6.978305849e-03},
                     {24, 5.517270475e-03},
                     {30, 1.079237742e-03},
                     {39, 6.187806812e-05},
                     {40, 4.445698525e-05}});
}

// Both ends of the ramp fall on one dimension.
TEST(RopeTableTest, YarnWithoutARampStaysFinite) {
  RopeSpec rope = YarnRope();
  rope.beta_fast = rope.beta_slow = 1e6;
  for (float frequency : RopeFrequencies(rope, 128)) EXPECT_TRUE(std::isfinite(frequency));
}

}  // namespace
}  // namespace regatta
