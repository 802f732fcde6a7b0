// What the load generator costs: token messages per second against the null engine, in this process
// (the generator alone) and over loopback gRPC (with transport and client).
#include <benchmark/benchmark.h>
#include <time.h>

#include "common/check.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/grpc/grpc_target.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/load/null_target.h"

namespace regatta {
namespace {

constexpr uint32_t kTokens = 256;

Dataset MakeDataset(uint32_t requests) {
  DatasetEntry entry;
  entry.input_ids.assign(128, 7);
  entry.output_tokens = kTokens;
  Dataset dataset;
  dataset.entries.assign(requests, entry);
  return dataset;
}

double ThreadCpuSeconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

// Four requests per user, each of kTokens one-token messages.
void Drive(benchmark::State& state, Target& target) {
  const uint32_t users = static_cast<uint32_t>(state.range(0));
  const Dataset dataset = MakeDataset(4 * users);
  LoadGenerator generator(target);
  LoadOptions options;
  options.concurrency = users;
  const std::atomic<bool> stop{false};
  double messages = 0;
  const double cpu_before = ThreadCpuSeconds();
  for (auto _ : state) {
    const LoadResult result =
        generator.Run(Workload(dataset, {}).Deal(4 * users), options, stop, nullptr);
    CHECK_EQ(result.samples.requests.size(), 4 * users);
    messages += 4.0 * users * kTokens;
  }
  state.counters["messages/s"] = benchmark::Counter(messages, benchmark::Counter::kIsRate);
  // The generator's thread alone: what one core could take if the server had others.
  state.counters["messages/s/core"] = messages / (ThreadCpuSeconds() - cpu_before);
}

void BM_InProcess(benchmark::State& state) {
  NullTarget target(NullTiming{});
  Drive(state, target);
}
BENCHMARK(BM_InProcess)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond)->UseRealTime();

void OverGrpc(benchmark::State& state, StreamMode mode) {
  auto server = NullServer::Start("127.0.0.1:0", NullTiming{}, TlsOptions());
  CHECK(server.ok()) << server.status();
  auto channel = Connect((*server)->address(), TlsOptions(), absl::Seconds(10));
  CHECK(channel.ok()) << channel.status();
  const auto target = MakeGrpcTarget(*channel, mode);
  Drive(state, *target);
}

void BM_Multiplexed(benchmark::State& state) { OverGrpc(state, StreamMode::kMultiplexed); }
BENCHMARK(BM_Multiplexed)->Arg(64)->Arg(512)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_PerRequest(benchmark::State& state) { OverGrpc(state, StreamMode::kPerRequest); }
BENCHMARK(BM_PerRequest)->Arg(64)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace regatta
