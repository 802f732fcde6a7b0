// The article's example, and what KV pressure costs: a pool offered twice the load that just fits
// keeps at least nine tenths of its throughput, whether max_tokens is known or missing, whatever
// the lengths are.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "tests/sim/load.h"

namespace regatta::sim {
namespace {

using Lengths = std::function<uint32_t(Random&)>;

Lengths Constant(uint32_t length) {
  return [length](Random&) { return length; };
}
Lengths Uniform(uint32_t low, uint32_t high) {
  return [low, high](Random& random) { return random.Between(low, high); };
}
// A normal deviate (Box and Muller 1958).
double Normal(Random& random) {
  return std::sqrt(-2 * std::log(1 - random.Fraction())) *
         std::cos(6.283185307 * random.Fraction());
}
Lengths NormalLengths(double mean, double deviation) {
  return [=](Random& random) {
    return static_cast<uint32_t>(std::max(1.0, std::ceil(mean + deviation * Normal(random))));
  };
}
Lengths Exponential(double mean) {
  return [=](Random& random) {
    return 1 + static_cast<uint32_t>(-std::log(1 - random.Fraction()) * mean);
  };
}
// Many short answers, few very long ones.
Lengths LogNormal(double median, double sigma, uint32_t most) {
  return [=](Random& random) {
    return std::min(most, 1 + static_cast<uint32_t>(median * std::exp(sigma * Normal(random))));
  };
}

struct PressureCase {
  std::string name;
  Lengths prompt, output;
  uint32_t pool_tokens;
  MaxTokens max_tokens = MaxTokens::kExact;
  uint32_t stages = 1;
};

void PrintTo(const PressureCase& param, std::ostream* os) { *os << param.name; }

class PressureTest : public testing::TestWithParam<PressureCase> {};

Load MakeLoad(const PressureCase& param) {
  Load load;
  load.options.limits.set_max_batch_size(1024);
  load.options.limits.set_max_num_tokens(4096);
  load.options.limits.set_max_seq_len(8192);
  load.options.block_size = 16;
  load.options.num_blocks = param.pool_tokens / 16;
  load.options.prefix_cache = false;
  load.options.stages = param.stages;
  load.options.max_inflight = param.stages + 1;
  load.max_tokens = param.max_tokens;
  load.prompt_length = param.prompt;
  load.output_length = param.output;
  return load;
}

TEST_P(PressureTest, MoreLoadThanFitsKeepsTheThroughput) {
  constexpr uint64_t kSeed = 7;
  constexpr uint32_t kMinRequests = 1200;
  Load load = MakeLoad(GetParam());
  load.requests = kMinRequests;
  const uint32_t fits = ConcurrencyThatFits(load, load.options.num_blocks, 512, kSeed);
  load.concurrency = fits;
  Load roomy = load;
  roomy.options.num_blocks = 1 << 17;
  const double fitting = RunLoad(roomy, kSeed).output_tokens_per_second;
  std::printf("%-26s %3u requests fit", GetParam().name.c_str(), fits);
  for (const uint32_t factor : {2, 4}) {
    load.concurrency = fits * factor;
    load.requests = std::max(kMinRequests, load.concurrency * 8);
    const LoadResult result = RunLoad(load, kSeed);
    const double kept = result.output_tokens_per_second / fitting;
    std::printf(";  x%u keeps %.3f (%.0f run, %lu preempted)", factor, kept, result.mean_running,
                static_cast<unsigned long>(result.preemptions));
    EXPECT_GE(kept, 0.9) << "at " << factor << " times the load";
  }
  std::printf("\n");
}

std::vector<PressureCase> Cases() {
  std::vector<PressureCase> cases;
  for (const MaxTokens known : {MaxTokens::kExact, MaxTokens::kMissing, MaxTokens::kLoose}) {
    const std::string suffix = known == MaxTokens::kExact     ? "Exact"
                               : known == MaxTokens::kMissing ? "Missing"
                                                              : "Loose";
    for (const uint32_t pool : {4096u, 16384u, 65536u}) {
      const std::string size = std::to_string(pool / 1024) + "k" + suffix;
      cases.push_back({"Constant" + size, Constant(128), Constant(128), pool, known});
      cases.push_back({"LongOutput" + size, Constant(32), Constant(700), pool, known});
      cases.push_back(
          {"Normal" + size, NormalLengths(200, 40), NormalLengths(200, 40), pool, known});
      cases.push_back({"Uniform" + size, Uniform(10, 300), Uniform(10, 500), pool, known});
      cases.push_back({"Exponential" + size, Constant(50), Exponential(200), pool, known});
      cases.push_back(
          {"HeavyTail" + size, Uniform(20, 200), LogNormal(80, 1.2, 2500), pool, known});
      cases.push_back({"LongPrompt" + size, Constant(1000), Uniform(20, 100), pool, known});
    }
    cases.push_back({"Pipeline" + suffix, Uniform(10, 300), Uniform(10, 500), 65536, known, 4});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Lengths, PressureTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// Reserving max_seq_len for each request would run these one after the other.
TEST(MaxTokensTest, MissingDoesNotSerialise) {
  Load load;
  load.options.limits.set_max_batch_size(256);
  load.options.limits.set_max_num_tokens(8192);
  load.options.limits.set_max_seq_len(131072);
  load.options.num_blocks = 2048;  // 32,768 tokens: a quarter of one longest sequence
  load.concurrency = load.requests = 64;
  load.max_tokens = MaxTokens::kMissing;
  load.prompt_length = Constant(100);
  load.output_length = Constant(200);
  const LoadResult result = RunLoad(load, 1);
  EXPECT_GE(result.mean_running, 60);  // all of them, from the first step on
  EXPECT_EQ(result.preemptions, 0u);
}

// An 8B model in bf16: few tokens cost two thirds of what more of them do.
Load ShortAnswers() {
  Load load;
  load.options.limits.set_max_batch_size(512);
  load.options.limits.set_max_num_tokens(2048);
  load.options.limits.set_max_seq_len(8192);
  load.options.num_blocks = 1 << 16;
  load.options.prefix_cache = false;
  load.step_time = {4.2, 0.0245, 256, 0.016};
  load.prompt_length = Constant(128);
  load.output_length = Constant(128);
  return load;
}

LoadResult Waves(Load load) {
  load.options.pace_prompts = false;
  return RunLoad(load, 1);
}

// Users who come together: dealt out over the steps their next prompts are cheaper where few
// decode, and are not waited for in turn.
TEST(PromptPaceTest, WavesOfUsersAreSpreadAndRunFasterForIt) {
  for (const uint32_t users : {64u, 128u, 512u}) {
    for (const uint32_t outputs : {128u, 1000u}) {
      Load load = ShortAnswers();
      load.output_length = Constant(outputs);
      load.concurrency = users;
      load.requests = 30 * users;
      if (users > 128) load.options.limits.set_max_num_tokens(8192);
      const LoadResult waves = Waves(load), paced = RunLoad(load, 1);
      std::printf(
          "%3u users, %4u out: %.0f to %.0f tok/s, waits %.1f to %.1f ms, longest %.1f to %.1f "
          "ms\n",
          users, outputs, waves.output_tokens_per_second, paced.output_tokens_per_second,
          waves.mean_wait_ms, paced.mean_wait_ms, waves.longest_wait_ms, paced.longest_wait_ms);
      const double gain = outputs == 128 && users <= 128 ? 1.03 : 1;
      EXPECT_GT(paced.output_tokens_per_second, gain * waves.output_tokens_per_second);
      EXPECT_GT(paced.mean_running, 0.95 * users);
      EXPECT_LT(paced.mean_wait_ms, 0.5 * waves.mean_wait_ms);
      // In the first rounds, as nobody knew how long answers would be when all came.
      EXPECT_LT(paced.longest_wait_ms, (users > 128 ? 4 : 3.2) * waves.longest_wait_ms);
    }
  }
}

// Long prompts, of which a step takes few, are spread by that.
TEST(PromptPaceTest, LongPromptsWaitNoLonger) {
  struct Case {
    uint32_t users, prompt, outputs;
  };
  for (const auto& [users, prompt, outputs] :
       {Case{32, 1000, 1000}, Case{64, 1000, 1000}, Case{128, 1000, 1000}, Case{256, 1000, 1000},
        Case{16, 4000, 1000}, Case{128, 4000, 1000}, Case{200, 4000, 1000}, Case{512, 1000, 200},
        Case{64, 2048, 128}, Case{128, 2048, 128}, Case{64, 512, 512}, Case{180, 512, 512}}) {
    Load load = ShortAnswers();
    load.options.limits.set_max_num_tokens(8192);
    load.options.num_blocks = 1 << 17;
    load.prompt_length = Constant(prompt);
    load.output_length = Constant(outputs);
    load.concurrency = users;
    load.requests = 12 * users;
    const LoadResult waves = Waves(load), paced = RunLoad(load, 1);
    std::printf(
        "%3u users, %u in, %u out: %.0f to %.0f tok/s, waits %.0f to %.0f ms, longest %.0f to %.0f "
        "ms\n",
        users, prompt, outputs, waves.output_tokens_per_second, paced.output_tokens_per_second,
        waves.mean_wait_ms, paced.mean_wait_ms, waves.longest_wait_ms, paced.longest_wait_ms);
    EXPECT_GT(paced.output_tokens_per_second, 0.99 * waves.output_tokens_per_second);
    EXPECT_LT(paced.mean_wait_ms, 1.1 * waves.mean_wait_ms);
  }
}

// Those who come at random are in no wave: they must not pay for it.
TEST(PromptPaceTest, ArrivalsAtRandomWaitNoLonger) {
  struct Case {
    const char* name;
    double gap_ms;
    Lengths prompt, output;
  };
  for (const Case& one : {Case{"few", 620, Uniform(64, 512), Uniform(500, 1500)},
                          Case{"some", 170, Uniform(64, 512), Uniform(500, 1500)},
                          Case{"reasoning", 1000, Uniform(100, 500), Uniform(2000, 6000)},
                          Case{"short", 40, Constant(128), Exponential(256)}}) {
    Load load = ShortAnswers();
    load.concurrency = 0;
    load.mean_gap_ms = one.gap_ms;
    load.requests = 1000;
    load.prompt_length = one.prompt;
    load.output_length = one.output;
    const LoadResult plain = Waves(load), paced = RunLoad(load, 1);
    std::printf("%-9s %.1f run: waits %.1f to %.1f ms, longest %.1f to %.1f ms\n", one.name,
                paced.mean_running, plain.mean_wait_ms, paced.mean_wait_ms, plain.longest_wait_ms,
                paced.longest_wait_ms);
    EXPECT_LT(paced.mean_wait_ms, 1.1 * plain.mean_wait_ms) << one.name;
  }
}

}  // namespace
}  // namespace regatta::sim
