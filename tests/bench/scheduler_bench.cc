// Cost of a step in the router: NextStep + Commit, the plan's way through the wire format, block
// pool and prefix cache by size.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "common/check.h"
#include "router/scheduler/block_pool.h"
#include "router/scheduler/prefix_cache.h"
#include "router/scheduler/scheduler.h"

namespace regatta {
namespace {

constexpr uint32_t kBlockSize = 16;
constexpr uint32_t kPromptLength = 128;
constexpr uint32_t kOutputLength = 128;

SchedulerOptions Options(uint32_t running, uint32_t num_blocks) {
  SchedulerOptions options;
  options.limits.set_max_batch_size(running);
  options.limits.set_max_num_tokens(16384);
  options.limits.set_max_seq_len(4096);
  options.block_size = kBlockSize;
  options.num_blocks = num_blocks;
  return options;
}

// The worker's part.
StepResult DrawTokens(const StepPlan& plan) {
  StepResult result;
  result.set_step_id(plan.step_id());
  for (int i = 0; i < plan.slot_size(); ++i) {
    if ((plan.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
    result.add_slot(plan.slot(i));
    result.add_token(7);
  }
  return result;
}

// Keeps `load` sequences live and steps with one plan in flight, as the engine loop does. Lengths
// vary, so that sequences come and go in every step, half of them with a bound and half without.
class Driver {
 public:
  Driver(const SchedulerOptions& options, uint32_t load) : scheduler_(options), load_(load) {
    Refill();
    for (uint32_t i = 0; i < 4 * kOutputLength; ++i) Step();  // Until ends are spread evenly.
  }

  void Refill() {
    for (; live_ < load_; ++live_) {
      const uint32_t outputs = kOutputLength / 2 + (++last_id_ * 2654435761u >> 16) % kOutputLength;
      SequenceSpec spec;
      spec.id = last_id_;
      spec.tokens.assign(kPromptLength, static_cast<uint32_t>(last_id_));
      spec.prompt_length = kPromptLength;
      spec.max_output_tokens = outputs;
      spec.stop_token_ids = {0, 1};
      spec.sampling.set_temperature(0.7f);
      (void)scheduler_.Add(std::move(spec));
    }
  }

  // What is measured. Add is the clients' cost, not the step's, but belongs to the loop.
  void Step() {
    plan_ = *scheduler_.NextStep();
    results_.push_back(DrawTokens(plan_));
    if (results_.size() < 2) return;
    events_.clear();
    (void)scheduler_.Commit(results_.front(), events_);
    results_.pop_front();
    for (const SequenceEvent& event : events_) live_ -= event.finish != FINISH_REASON_NONE;
    Refill();
  }

  const StepPlan& plan() const { return plan_; }
  SchedulerState state() const { return scheduler_.state(); }

 private:
  Scheduler scheduler_;
  const uint32_t load_;
  uint32_t live_ = 0;
  uint64_t last_id_ = 0;
  StepPlan plan_;
  std::deque<StepResult> results_;
  std::vector<SequenceEvent> events_;
};

// A whole step with sequences coming and going, the making of the worker's result included.
void BM_Step(benchmark::State& state) {
  const auto running = static_cast<uint32_t>(state.range(0));
  Driver driver(Options(running, running * 32), running);
  for (auto _ : state) driver.Step();
  state.counters["running"] = driver.state().running;
}
BENCHMARK(BM_Step)->Arg(64)->Arg(512)->Arg(4096)->Unit(benchmark::kMicrosecond);

// The same with as many sequences waiting and the pool full: admission is weighed in every step.
void BM_StepUnderPressure(benchmark::State& state) {
  const auto running = static_cast<uint32_t>(state.range(0));
  Driver driver(Options(running, running * 10), 2 * running);
  for (auto _ : state) driver.Step();
  state.counters["running"] = driver.state().running;
  state.counters["waiting"] = driver.state().waiting;
}
BENCHMARK(BM_StepUnderPressure)->Arg(64)->Arg(512)->Arg(4096)->Unit(benchmark::kMicrosecond);

void BM_PlanEncodeDecode(benchmark::State& state) {
  const auto running = static_cast<uint32_t>(state.range(0));
  const Driver driver(Options(running, running * 32), running);
  std::string bytes;
  StepPlan decoded;
  for (auto _ : state) {
    driver.plan().SerializeToString(&bytes);
    decoded.ParseFromString(bytes);
    benchmark::DoNotOptimize(decoded);
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(BM_PlanEncodeDecode)->Arg(64)->Arg(512)->Arg(4096)->Unit(benchmark::kMicrosecond);

// Per call what the scheduler does with a prompt of so many blocks.
constexpr uint32_t kPromptBlocks = 64;

void ReportPerBlock(benchmark::State& state) {
  state.counters["per_block"] = benchmark::Counter(
      kPromptBlocks, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// A pool and a cache in old age: every block holds a prompt's content, ids are scattered over
// memory, and prompts come back in no order.
class AgedCache {
 public:
  explicit AgedCache(uint32_t blocks)
      : pool_(blocks), cache_(pool_, true), num_prompts_(blocks / kPromptBlocks) {
    std::vector<uint32_t> all;
    pool_.Allocate(blocks, all);
    std::shuffle(all.begin(), all.end(), random_);
    for (const uint32_t block : all) pool_.Release(block);
    while (next_ < num_prompts_) AddPrompt();
  }

  // Nothing of it is known: its blocks are taken from the prompt that was not used for longest.
  void AddPrompt() {
    const std::vector<BlockKey>& keys = Keys(next_++);
    blocks_.clear();
    cache_.FindPrefix(keys, blocks_);
    CHECK_EQ(blocks_.size(), 0u);
    cache_.Allocate(kPromptBlocks, blocks_);
    cache_.Publish(blocks_, keys);
    pool_.Release(blocks_);
  }

  // All of it is known.
  void ReturnPrompt() {
    blocks_.clear();
    cache_.FindPrefix(Keys(next_ - 1 - random_() % num_prompts_), blocks_);
    CHECK_EQ(blocks_.size(), size_t{kPromptBlocks});
    pool_.Share(blocks_);
    pool_.Release(blocks_);
  }

 private:
  // As evenly spread as hashes, but at no cost: BM_BlockKeys measures those.
  const std::vector<BlockKey>& Keys(uint64_t prompt) {
    for (uint64_t i = 0; i < kPromptBlocks; ++i) {
      const uint64_t n = (prompt * kPromptBlocks + i + 1) * 0x9E3779B97F4A7C15u;
      keys_[i] = {n ^ (n >> 32), n};
      cache_.Prefetch(keys_[i]);  // As the scheduler does when it has made a key.
    }
    return keys_;
  }

  std::minstd_rand random_;
  BlockPool pool_;
  PrefixCache cache_;
  const uint32_t num_prompts_;
  uint64_t next_ = 0;
  std::vector<BlockKey> keys_ = std::vector<BlockKey>(kPromptBlocks);
  std::vector<uint32_t> blocks_;
};

void BM_NewPrompt(benchmark::State& state) {
  AgedCache cache(static_cast<uint32_t>(state.range(0)));
  for (auto _ : state) cache.AddPrompt();
  ReportPerBlock(state);
}
BENCHMARK(BM_NewPrompt)->RangeMultiplier(32)->Range(1 << 10, 1 << 20);

void BM_ReturningPrompt(benchmark::State& state) {
  AgedCache cache(static_cast<uint32_t>(state.range(0)));
  for (auto _ : state) cache.ReturnPrompt();
  ReportPerBlock(state);
}
BENCHMARK(BM_ReturningPrompt)->RangeMultiplier(32)->Range(1 << 10, 1 << 20);

// Prompts through the scheduler, keys included: of 64 blocks on average, computed in one step,
// eight at a time with a few tokens each, so that blocks scatter. Half of them are found, unless
// evicted.
class PromptDriver {
 public:
  explicit PromptDriver(uint32_t blocks)
      : scheduler_(Options(kLive, blocks)), remembered_(blocks / kPromptBlocks / 4) {
    while (prompt_blocks_ < 4 * blocks) Step();  // Until every block has been evicted a few times.
  }

  void Step() {
    for (; live_ < kLive; ++live_) AddPrompt();
    const StepPlan plan = *scheduler_.NextStep();
    events_.clear();
    CHECK(scheduler_.Commit(DrawTokens(plan), events_).ok());
    for (const SequenceEvent& event : events_) live_ -= event.finish != FINISH_REASON_NONE;
  }

  uint64_t prompt_blocks() const { return prompt_blocks_; }
  SchedulerState state() const { return scheduler_.state(); }

 private:
  static constexpr uint32_t kLive = 8;

  void AddPrompt() {
    const uint64_t id = ++last_id_;
    // Odd ids bring new prompts, even ones an earlier of these.
    const bool returning = id % 2 == 0 && id > 2 * remembered_;
    const uint64_t content = returning ? id - 1 - 2 * (random_() % remembered_) : id;
    SequenceSpec spec;
    spec.id = id;
    spec.prompt_length = kPromptBlocks * kBlockSize / 2 + content * 2654435761u % 1024;
    spec.tokens.resize(spec.prompt_length);
    std::iota(spec.tokens.begin(), spec.tokens.end(), static_cast<uint32_t>(content));
    spec.max_output_tokens = 1 + random_() % 4;
    prompt_blocks_ += spec.prompt_length / kBlockSize;
    CHECK(scheduler_.Add(std::move(spec)).ok());
  }

  std::minstd_rand random_;
  Scheduler scheduler_;
  const uint32_t remembered_;  // so many of the newest prompts come back
  uint32_t live_ = 0;
  uint64_t last_id_ = 0;
  uint64_t prompt_blocks_ = 0;
  std::vector<SequenceEvent> events_;
};

void BM_Prompts(benchmark::State& state) {
  PromptDriver driver(static_cast<uint32_t>(state.range(0)));
  const uint64_t blocks = driver.prompt_blocks();
  for (auto _ : state) driver.Step();
  state.counters["per_block"] =
      benchmark::Counter(static_cast<double>(driver.prompt_blocks() - blocks),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  const SchedulerState totals = driver.state();
  state.counters["hits"] = static_cast<double>(totals.cached_tokens) /
                           static_cast<double>(totals.cached_tokens + totals.prompt_tokens);
}
BENCHMARK(BM_Prompts)->RangeMultiplier(32)->Range(1 << 10, 1 << 20);

// Blocks taken and given back without a cache, in no order of their ids.
void BM_BlockPool(benchmark::State& state) {
  BlockPool pool(static_cast<uint32_t>(state.range(0)));
  std::minstd_rand random;
  std::vector<uint32_t> held;
  pool.Allocate(pool.num_blocks(), held);
  std::shuffle(held.begin(), held.end(), random);
  std::vector<uint32_t> taken;
  size_t at = 0;
  for (auto _ : state) {
    at = (at + kPromptBlocks) % held.size();
    const absl::Span<uint32_t> sequence = absl::MakeSpan(held).subspan(at, kPromptBlocks);
    pool.Release(sequence);
    taken.clear();
    pool.Allocate(kPromptBlocks, taken);
    absl::c_copy(taken, sequence.begin());
  }
  ReportPerBlock(state);
}
BENCHMARK(BM_BlockPool)->RangeMultiplier(32)->Range(1 << 10, 1 << 20);

// Keys of a prompt, per token.
void BM_BlockKeys(benchmark::State& state) {
  std::vector<uint32_t> tokens(kBlockSize, 12345);
  BlockKey key;
  for (auto _ : state) key = MakeBlockKey(1, key, tokens);
  benchmark::DoNotOptimize(key);
  state.SetItemsProcessed(state.iterations() * kBlockSize);
}
BENCHMARK(BM_BlockKeys);

}  // namespace
}  // namespace regatta
