// Cost of a step in the router: NextStep + Commit, the plan's way through the wire format, block
// pool and prefix cache by size.
#include <benchmark/benchmark.h>

#include <deque>
#include <string>
#include <vector>

#include "router/block_pool.h"
#include "router/prefix_cache.h"
#include "router/scheduler.h"

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
    StepResult& result = results_.emplace_back();
    result.set_step_id(plan_.step_id());
    for (int i = 0; i < plan_.slot_size(); ++i) {
      if ((plan_.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
      result.add_slot(plan_.slot(i));
      result.add_token(7);
    }
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

// One block taken and one given back, in an order unlike that of their ids.
void BM_BlockPool(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  BlockPool pool(blocks);
  std::vector<uint32_t> held;
  for (uint32_t i = 0; i < blocks / 2; ++i) held.push_back(pool.Allocate());
  size_t i = 0;
  for (auto _ : state) {
    i = (i + 7919) % held.size();
    pool.Release(held[i]);
    held[i] = pool.Allocate();
  }
}
BENCHMARK(BM_BlockPool)->RangeMultiplier(32)->Range(1 << 10, 1 << 20);

// With a full cache: find a block, then evict one and publish another in its place.
void BM_PrefixCache(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  BlockPool pool(blocks);
  PrefixCache cache(pool, true);
  const auto key = [](uint32_t i) { return MakeBlockKey(1, {}, {i}); };
  uint32_t next = 0;
  // As the scheduler does: keys are known some time before their blocks are published.
  const auto turn_over = [&] {
    const BlockKey published = key(next++);
    cache.Prefetch(published);
    const uint32_t block = cache.Allocate();
    cache.Publish(block, published);
    pool.Release(block);
  };
  while (next < 2 * blocks) turn_over();
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.Find(key(next - 1 - next % blocks)));
    turn_over();
  }
}
BENCHMARK(BM_PrefixCache)->RangeMultiplier(32)->Range(1 << 10, 1 << 20);

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
