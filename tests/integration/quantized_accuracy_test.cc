// Held-out accuracy of the trained models with weights in E4M3, quantised while they are loaded,
// and with a cache in E4M3: within a point of float32, through the whole stack.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

constexpr int kConcurrency = 24;
constexpr int kEvery = 3;  // of the held-out prompts

struct Variant {
  const char* name;
  const char* model;
  int ranks;
  std::vector<std::string> arguments;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

class QuantizedAccuracy : public ::testing::TestWithParam<Variant> {};

TEST_P(QuantizedAccuracy, WithinAPointOfFloat32) {
  const Variant& variant = GetParam();
  const auto cluster = LaunchModel(variant.model, variant.ranks, variant.arguments);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const std::vector<HeldOutPrompt> prompts = HeldOut(variant.model, kEvery);
  const std::vector<Output> outputs =
      GenerateAll((*cluster)->channel(), GreedyRequests(prompts), kConcurrency);
  std::ifstream file(BundledModel(variant.model) + "/MEASURED.json");
  const std::set<int> wrong =
      nlohmann::json::parse(file).at("held_out_exact_float32").at("wrong_ids");
  const auto in_float32 = std::count_if(prompts.begin(), prompts.end(), [&](const auto& prompt) {
    return wrong.count(prompt.id) == 0;
  });
  const auto exact = CountExact(prompts, outputs);
  std::printf("%s: %d of %zu exact, float32 %d\n", variant.name, static_cast<int>(exact),
              prompts.size(), static_cast<int>(in_float32));
  EXPECT_GE(exact, static_cast<double>(in_float32) - 0.01 * static_cast<double>(prompts.size()));
}

INSTANTIATE_TEST_SUITE_P(
    Models, QuantizedAccuracy,
    ::testing::Values(
        Variant{"dense_weights", "regatta-dense", 2, {"--tp", "2", "--quantization", "fp8"}},
        Variant{"dense_cache", "regatta-dense", 1, {"--kv-cache-dtype", "fp8"}},
        Variant{
            "dense_both", "regatta-dense", 1, {"--quantization", "fp8", "--kv-cache-dtype", "fp8"}},
        Variant{"moe_weights", "regatta-moe", 2, {"--tp", "2", "--quantization", "fp8"}},
        Variant{
            "moe_both", "regatta-moe", 1, {"--quantization", "fp8", "--kv-cache-dtype", "fp8"}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace regatta::testing
