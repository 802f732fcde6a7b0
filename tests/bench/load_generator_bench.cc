// What the load generator costs: token messages per second against the null engine, in this process
// (the generator alone) and over loopback gRPC and HTTP (with transport and client).
#include <benchmark/benchmark.h>

#include "common/check.h"
#include "common/clock.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/grpc/grpc_target.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/grpc/polling.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/load/null_target.h"
#include "orchestrator/openai/completion_chunk.h"
#include "orchestrator/openai/null_http_server.h"
#include "orchestrator/openai/openai_target.h"

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

// Four requests per user, each of kTokens one-token messages.
void Drive(benchmark::State& state, Target& target) {
  const uint32_t users = static_cast<uint32_t>(state.range(0));
  const Dataset dataset = MakeDataset(4 * users);
  LoadGenerator generator(target);
  LoadOptions options;
  options.concurrency = users;
  const std::atomic<bool> stop{false};
  double messages = 0, cpu_s = 0;
  for (auto _ : state) {
    const int64_t start_ns = RealClock().NowNs();
    const LoadResult result =
        generator.Run(Workload(dataset, {}).Deal(4 * users), options, stop, nullptr);
    const double wall_s = (RealClock().NowNs() - start_ns) / 1e9;
    CHECK_EQ(result.samples.requests.size(), 4 * users);
    for (const RequestRecord& record : result.samples.requests) CHECK(record.error().empty());
    messages += 4.0 * users * kTokens;
    cpu_s += result.client.busiest_thread() * wall_s;
  }
  state.counters["messages/s"] = benchmark::Counter(messages, benchmark::Counter::kIsRate);
  // The client thread alone: what one core could take if the server had others.
  state.counters["messages/s/core"] = messages / cpu_s;
}

void BM_InProcess(benchmark::State& state) {
  NullTarget target(NullTiming{});
  Drive(state, target);
}
BENCHMARK(BM_InProcess)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond)->UseRealTime();

void OverGrpc(benchmark::State& state, StreamMode mode) {
  PollOwnSockets();  // as `regatta` does
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
BENCHMARK(BM_PerRequest)->Arg(64)->Arg(512)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_Http(benchmark::State& state) {
  auto server = NullHttpServer::Start("127.0.0.1:0", NullTiming{});
  CHECK(server.ok()) << server.status();
  OpenAiServer at;
  at.url = *ParseHttpUrl("http://" + (*server)->address());
  at.body.model = "null";
  auto target = OpenAiTarget::Make(std::move(at), absl::Seconds(10));
  CHECK(target.ok()) << target.status();
  Drive(state, **target);
}
BENCHMARK(BM_Http)->Arg(64)->Arg(1024)->Arg(4000)->Unit(benchmark::kMillisecond)->UseRealTime();

constexpr char kEvent[] =
    R"({"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"m","choices":[)"
    R"({"index":0,"text":" the","logprobs":null,"finish_reason":null,"stop_reason":null}],)"
    R"("usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}})";

// One event's JSON alone, by the scanner and by the whole parser.
void BM_ScanEvent(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(ParseCompletionChunk(kEvent));
  state.counters["events/s"] = benchmark::Counter(state.iterations(), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_ScanEvent);

void BM_ParseEvent(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(ParseWholeCompletionChunk(kEvent));
  state.counters["events/s"] = benchmark::Counter(state.iterations(), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_ParseEvent);

}  // namespace
}  // namespace regatta
