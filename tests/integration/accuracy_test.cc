// Held-out accuracy of the trained models through the whole stack (gRPC in, text out) equals what
// was measured in training, whatever the layout, chunking, memory pressure or prefix cache. On CPU
// ranks the same prompt gives the same tokens in all of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

constexpr int kConcurrency = 24;

struct Variant {
  const char* name;
  const char* model;
  int ranks;
  std::vector<std::string> arguments;
  bool preempts = false;  // the pool is so small that sequences must be recomputed
  bool repeats = false;   // the set runs twice, the second time from the prefix cache
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

// Held-out prompts that the model answers wrongly with float32 arithmetic, as transformers measured
// after training.
std::set<int> MeasuredWrong(const std::string& model) {
  std::ifstream file(BundledModel(model) + "/MEASURED.json");
  return nlohmann::json::parse(file).at("held_out_exact_float32").at("wrong_ids");
}

std::vector<std::vector<uint32_t>> Tokens(const std::vector<Output>& outputs) {
  std::vector<std::vector<uint32_t>> tokens;
  for (const Output& output : outputs) tokens.push_back(output.token_ids);
  return tokens;
}

// Many short answers teach the scheduler to expect short ones; long ones then outgrow a tiny pool.
void ShortAnswersFirst(std::vector<HeldOutPrompt>& prompts) {
  std::sort(prompts.begin(), prompts.end(),
            [](const auto& a, const auto& b) { return a.answer.size() < b.answer.size(); });
}

uint32_t Total(const std::vector<Output>& outputs, uint32_t (Usage::*field)() const) {
  uint32_t total = 0;
  for (const Output& output : outputs) total += (output.usage.*field)();
  return total;
}

class WholeHeldOutSet : public ::testing::TestWithParam<Variant> {
 protected:
  // Runs the whole set; the prompts answered wrongly must be those of the training's measurement.
  static std::vector<Output> Run(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& model,
                                 const std::vector<HeldOutPrompt>& prompts) {
    std::vector<Output> outputs =
        GenerateAll(channel, GreedyRequests(prompts), kConcurrency, absl::Minutes(20));
    EXPECT_GE(CountExact(prompts, outputs), 0.98 * prompts.size());
    std::set<int> wrong;
    for (size_t i = 0; i < prompts.size(); ++i) {
      if (outputs[i].text != prompts[i].answer) wrong.insert(prompts[i].id);
    }
    EXPECT_EQ(wrong, MeasuredWrong(model));
    return outputs;
  }
};

TEST_P(WholeHeldOutSet, ExactAnswers_EqualTheTrainingsMeasurement) {
  const Variant& variant = GetParam();
  const auto cluster = LaunchModel(variant.model, variant.ranks, variant.arguments);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  std::vector<HeldOutPrompt> prompts = HeldOut(variant.model, 1);
  if (variant.preempts) ShortAnswersFirst(prompts);
  const auto& channel = (*cluster)->channel();
  const std::vector<Output> outputs = Run(channel, variant.model, prompts);
  if (variant.preempts) {
    EXPECT_GT(Total(outputs, &Usage::preemptions), 0u);
  }
  if (!variant.repeats) return;
  const std::vector<Output> cached = Run(channel, variant.model, prompts);
  EXPECT_GT(Total(cached, &Usage::cached_tokens), Total(cached, &Usage::prompt_tokens) / 2);
}

INSTANTIATE_TEST_SUITE_P(
    Models, WholeHeldOutSet,
    ::testing::Values(Variant{"dense", "regatta-dense", 2, {"--tp", "2"}},
                      Variant{"moe", "regatta-moe", 2, {"--tp", "2", "--ep", "2"}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Long, WholeHeldOutSet,
                         ::testing::Values(Variant{"pp2", "regatta-dense", 2, {"--pp", "2"}},
                                           Variant{"moe_dp2", "regatta-moe", 2, {"--dp", "2"}},
                                           Variant{"tp4_chunked",
                                                   "regatta-dense",
                                                   4,
                                                   {"--tp", "4", "--max-num-tokens", "48",
                                                    "--max-batch-size", "32"}},
                                           Variant{.name = "tiny_pool",
                                                   .model = "regatta-dense",
                                                   .ranks = 2,
                                                   .arguments = {"--tp", "2", "--max-kv-tokens",
                                                                 "768", "--max-seq-len", "640"},
                                                   .preempts = true},
                                           Variant{.name = "prefix_cache",
                                                   .model = "regatta-dense",
                                                   .ranks = 2,
                                                   .arguments = {"--tp", "2"},
                                                   .repeats = true}),
                         [](const auto& info) { return info.param.name; });

class SameTokens : public ::testing::TestWithParam<Variant> {
 protected:
  // Tokens of one rank, computed once per model.
  static const std::vector<std::vector<uint32_t>>& Reference(const std::string& model) {
    static auto* references = new std::map<std::string, std::vector<std::vector<uint32_t>>>;
    auto& reference = (*references)[model];
    if (reference.empty()) {
      const auto cluster = LaunchModel(model, 1, {"--no-prefix-cache"});
      EXPECT_TRUE(cluster.ok()) << cluster.status();
      if (cluster.ok()) {
        reference = Tokens(
            GenerateAll((*cluster)->channel(), GreedyRequests(HeldOut(model, 7)), kConcurrency));
      }
    }
    return reference;
  }
};

TEST_P(SameTokens, AsOneRankUnderLoad) {
  const Variant& variant = GetParam();
  const auto& reference = Reference(variant.model);
  const auto cluster = LaunchModel(variant.model, variant.ranks, variant.arguments);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const std::vector<HeldOutPrompt> prompts = HeldOut(variant.model, 7);
  const std::vector<Output> outputs =
      GenerateAll((*cluster)->channel(), GreedyRequests(prompts), kConcurrency);
  EXPECT_GE(CountExact(prompts, outputs), 0.97 * prompts.size());
  const auto tokens = Tokens(outputs);
  ASSERT_EQ(tokens.size(), reference.size());
  for (size_t i = 0; i < tokens.size(); ++i) EXPECT_EQ(tokens[i], reference[i]) << "prompt " << i;
}

TEST(Preemption, ForcedByATinyPool_SameTokens) {
  std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 1);
  ShortAnswersFirst(prompts);
  prompts.erase(prompts.begin() + 120, prompts.end() - 48);
  std::vector<Output> outputs[2];
  const std::vector<std::string> pools[2] = {
      {"--tp", "2"}, {"--tp", "2", "--max-kv-tokens", "768", "--max-seq-len", "640"}};
  for (int i = 0; i < 2; ++i) {
    const auto cluster = LaunchModel("regatta-dense", 2, pools[i]);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    outputs[i] = GenerateAll((*cluster)->channel(), GreedyRequests(prompts), 32);
    EXPECT_GE(CountExact(prompts, outputs[i]), 0.97 * prompts.size());
  }
  EXPECT_EQ(Tokens(outputs[0]), Tokens(outputs[1]));
  EXPECT_GT(Total(outputs[1], &Usage::preemptions), 0u) << "the pool was not small enough";
}

INSTANTIATE_TEST_SUITE_P(
    Variants, SameTokens,
    ::testing::Values(
        Variant{"chunked_prefill",
                "regatta-dense",
                2,
                {"--tp", "2", "--max-num-tokens", "48", "--max-batch-size", "32"}},
        Variant{"no_prefix_cache", "regatta-dense", 2, {"--tp", "2", "--no-prefix-cache"}},
        Variant{"no_chunking", "regatta-dense", 1, {"--no-chunked-prefill"}},
        Variant{"pp2", "regatta-dense", 2, {"--pp", "2"}},
        Variant{"pp2_inflight3", "regatta-dense", 2, {"--pp", "2", "--max-inflight", "3"}},
        Variant{"tp2_pp2", "regatta-dense", 4, {"--tp", "2", "--pp", "2"}},
        Variant{"dp2", "regatta-dense", 2, {"--dp", "2"}},
        Variant{"inflight1", "regatta-dense", 2, {"--tp", "2", "--max-inflight", "1"}},
        Variant{"moe_tp4_ep2", "regatta-moe", 4, {"--tp", "4", "--ep", "2"}},
        Variant{"moe_tp2", "regatta-moe", 2, {"--tp", "2"}},
        Variant{"moe_pp2", "regatta-moe", 2, {"--pp", "2"}},
        Variant{"moe_dp2", "regatta-moe", 2, {"--dp", "2"}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace regatta::testing
