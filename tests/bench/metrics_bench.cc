// What figures cost: recording a step and its tokens in the engine loop, and one scrape.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "router/metrics/exposition.h"
#include "router/metrics/router_metrics.h"
#include "router/metrics/text_format.h"

namespace regatta {
namespace {

constexpr int64_t kStepNs = 12'000'000;

// What the engine loop records of a step in which every sequence draws a token. Arrival of their
// last tokens is spread over a step in the second case, so that no bucket fits the next token.
void RecordStep(benchmark::State& state) {
  const auto sequences = static_cast<uint32_t>(state.range(0));
  RouterMetrics metrics(131072);
  const auto group = metrics.AddGroup(1, {});
  std::mt19937 random(1);
  std::vector<int64_t> gaps(sequences, kStepNs);
  for (int64_t& gap : gaps) gap += state.range(1) * (random() % 100'000'000);
  const SchedulerState scheduler;
  for (auto _ : state) {
    group->StepPlanned(sequences, sequences, 40'000);
    group->StepCommitted(kStepNs, kStepNs, 30'000);
    for (const int64_t gap : gaps) group->LaterTokens(1, gap);
    group->Published(200'000);
    group->SetState(scheduler);
  }
  state.SetItemsProcessed(state.iterations() * sequences);
}
BENCHMARK(RecordStep)->ArgNames({"sequences", "spread"})->ArgsProduct({{64, 512, 2048}, {0, 1}});

void RecordRequest(benchmark::State& state) {
  RouterMetrics metrics(131072);
  const auto group = metrics.AddGroup(1, {});
  EngineTimes times;
  times.set_scheduled_ns(1'000'000);
  times.set_first_token_ns(50'000'000);
  times.set_last_token_ns(2'000'000'000);
  Usage usage;
  usage.set_prompt_tokens(1000);
  usage.set_output_tokens(200);
  for (auto _ : state) {
    group->FirstTokens(1, 1000, 50'000'000);
    group->Finished(times, usage, 2'000'000'000);
  }
}
BENCHMARK(RecordRequest);

// `groups` of four ranks with observations everywhere, and as many routes as the API has.
void Scrape(benchmark::State& state) {
  RouterMetrics metrics(131072);
  std::mt19937 random(1);
  for (uint32_t i = 0; i < state.range(0); ++i) {
    const auto group = metrics.AddGroup(i + 1, {.index = i,
                                                .num_ranks = 4,
                                                .kv_blocks = 100'000,
                                                .block_size = 16,
                                                .kv_cache_dtype = "fp8"});
    for (int step = 0; step < 10'000; ++step) {
      group->StepPlanned(random() % 512, random() % 8192, random() % 100'000);
      group->StepCommitted(random() % 50'000'000, random() % 50'000'000, random() % 100'000);
      group->LaterTokens(1, random() % 100'000'000);
      group->FirstTokens(1, random() % 10'000, random() % 2'000'000'000);
      EngineTimes times;
      times.set_last_token_ns(random());
      Usage usage;
      usage.set_output_tokens(random() % 1000);
      group->Finished(times, usage, random());
    }
  }
  ExpositionOptions options{.model_name = "meta-llama/Llama-3.1-70B-Instruct",
                            .vllm_names = state.range(1) == 1};
  options.http = [] {
    HttpFigures figures{.connections = 1000};
    for (int route = 0; route < 16; ++route) {
      figures.requests.push_back({"POST", "/v1/chat/completions", 200, 123456});
    }
    return figures;
  };
  const Exposition exposition(metrics, options);
  std::string text;
  for (auto _ : state) text = TextFormat(exposition.Collect());
  state.counters["bytes"] = text.size();
}
BENCHMARK(Scrape)
    ->ArgNames({"groups", "vllm_names"})
    ->ArgsProduct({{1, 8}, {0, 1}})
    ->Unit(benchmark::kMicrosecond);

// Its parts: folding the groups, and making the library's structures of them.
void Fold(benchmark::State& state) {
  RouterMetrics metrics(131072);
  for (uint32_t i = 0; i < 8; ++i) metrics.AddGroup(i + 1, {.index = i, .num_ranks = 4});
  for (auto _ : state) benchmark::DoNotOptimize(metrics.Take());
}
BENCHMARK(Fold)->Unit(benchmark::kMicrosecond);

void Collect(benchmark::State& state) {
  RouterMetrics metrics(131072);
  for (uint32_t i = 0; i < 8; ++i) metrics.AddGroup(i + 1, {.index = i, .num_ranks = 4});
  const Exposition exposition(metrics, {.http = [] { return HttpFigures{}; }});
  for (auto _ : state) benchmark::DoNotOptimize(exposition.Collect());
}
BENCHMARK(Collect)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace regatta
