// What the router itself costs: tokens per second through one engine loop, with and without a
// GenerateMany stream to a client, and the memory of a router process with 10,000 requests waiting.
// Workers are faked and take no time.
#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "proto/cluster.grpc.pb.h"
#include "proto/inference.grpc.pb.h"
#include "router/engine_loop.h"
#include "router/inference_service.h"
#include "tests/bench/router_process.h"
#include "tests/testing/fake_worker_service.h"
#include "tests/testing/local_group.h"

namespace regatta {
namespace {

constexpr uint32_t kRunning = 512;
constexpr uint32_t kOutput = 1000;

// Every sequence draws the same token at once.
absl::Status DrawAtOnce(const StepPlan& plan, const SampleInput&, StepResult& result) {
  result.set_step_id(plan.step_id());
  for (int i = 0; i < plan.slot_size(); ++i) {
    if ((plan.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
    result.add_slot(plan.slot(i));
    result.add_token(7);
  }
  return absl::OkStatus();
}

// One engine loop as a RequestSink: no queue, no placement.
class OneLoop final : public RequestSink, public EngineOwner {
 public:
  OneLoop() {
    model_.vocab_size = 1000;
    options_.scheduler.limits.set_max_batch_size(kRunning);
    options_.scheduler.limits.set_max_num_tokens(8192);
    options_.scheduler.limits.set_max_seq_len(2048);
    options_.scheduler.num_blocks = kRunning * 2048 / 16;
    loop_ = std::make_unique<EngineLoop>(
        options_, std::make_unique<LocalGroup>(DrawAtOnce, LocalGroup::Faults()), clock_, *this);
  }
  absl::StatusOr<uint64_t> Submit(const GenerateRequest& request, uint64_t tag,
                                  std::shared_ptr<DeltaStream> stream) override {
    auto made = MakeRequest(request, {.model = model_, .max_seq_len = 2048}, clock_.NowNs());
    CHECK(made.ok()) << made.status();
    const uint64_t id = next_id_++;
    (*made)->id = id;
    (*made)->tag = tag;
    (*made)->stream = std::move(stream);
    CHECK(loop_->Add(*std::move(made)) == AddOutcome::kTaken);
    return id;
  }
  void Cancel(uint64_t id) override {}
  void OnFinished(uint64_t epoch, std::vector<uint64_t> ids) override { finished += ids.size(); }
  void OnStopped(uint64_t, absl::Status, std::vector<std::unique_ptr<Request>>) override {}

  std::atomic<uint64_t> finished = 0;

 private:
  RealClock clock_;
  ModelSpec model_;
  EngineOptions options_;
  std::atomic<uint64_t> next_id_ = 1;
  std::unique_ptr<EngineLoop> loop_;
};

class NullStream final : public DeltaStream {
 public:
  void Push(uint64_t tag, TokenDelta delta) override { benchmark::DoNotOptimize(delta); }
  void Fail(uint64_t tag, const absl::Status& status) override { CHECK(false) << status; }
  void Flush() override {}
};

GenerateRequest MakeRequest(uint32_t prompt, uint32_t output) {
  GenerateRequest request;
  request.mutable_token_ids()->mutable_ids()->Resize(prompt, 5);
  request.set_max_tokens(output);
  request.set_no_prefix_cache(true);
  return request;
}

void BM_EngineLoop(benchmark::State& state) {
  OneLoop loop;
  const GenerateRequest request = MakeRequest(16, kOutput);
  const auto stream = std::make_shared<NullStream>();
  for (auto _ : state) {
    loop.finished = 0;
    for (uint32_t tag = 0; tag < kRunning; ++tag) CHECK(loop.Submit(request, tag, stream).ok());
    while (loop.finished < kRunning) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  state.SetItemsProcessed(state.iterations() * kRunning * kOutput);
}
BENCHMARK(BM_EngineLoop)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_GenerateMany(benchmark::State& state) {
  OneLoop loop;
  InferenceService service(loop);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto client = Inference::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  uint64_t messages = 0;
  for (auto _ : state) {
    grpc::ClientContext context;
    const auto stream = client->GenerateMany(&context);
    GenerateManyRequest request;
    *request.mutable_start() = MakeRequest(16, kOutput);
    for (uint32_t tag = 0; tag < kRunning; ++tag) {
      request.set_tag(tag);
      CHECK(stream->Write(request));
    }
    stream->WritesDone();
    uint64_t tokens = 0;
    GenerateManyResponse response;
    for (; stream->Read(&response); ++messages) {
      for (const TaggedDelta& delta : response.deltas()) tokens += delta.delta().count();
    }
    CHECK_EQ(tokens, uint64_t{kRunning} * kOutput);
    CHECK(stream->Finish().ok());
  }
  state.SetItemsProcessed(state.iterations() * kRunning * kOutput);
  state.counters["deltas_per_message"] =
      static_cast<double>(state.items_processed()) / std::max<uint64_t>(1, messages);
}
BENCHMARK(BM_GenerateMany)->UseRealTime()->Unit(benchmark::kMillisecond);

void AwaitWaiting(Cluster::Stub& cluster, uint32_t waiting) {
  grpc::ClientContext context;
  WatchRequest request;
  request.set_interval_ms(20);
  const auto reader = cluster.Watch(&context, request);
  ClusterState state;
  while (reader->Read(&state) && state.waiting() + state.running() < waiting) {
  }
  context.TryCancel();
}

// Argument: 0 = one GenerateMany stream, 1 = one Generate call per request.
void BM_MemoryOf10000QueuedRequests(benchmark::State& state) {
  constexpr uint32_t kRequests = 10'000;
  constexpr uint32_t kPrompt = 400;
  for (auto _ : state) {
    FakeWorkerService worker({.step_time = std::chrono::seconds(1)});
    RouterProcess router(worker.address(), {"--max-batch-size=1"});
    const auto channel = grpc::CreateChannel(router.address(), grpc::InsecureChannelCredentials());
    const auto client = Inference::NewStub(channel);
    const auto cluster = Cluster::NewStub(channel);
    state.counters["idle_MB"] = router.ResidentMb();
    const GenerateRequest start = MakeRequest(kPrompt, 100);
    grpc::ClientContext context;
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<TokenDelta>>> readers;
    const auto stream = client->GenerateMany(&context);
    for (uint32_t tag = 0; tag < kRequests; ++tag) {
      if (state.range(0) == 1) {
        contexts.push_back(std::make_unique<grpc::ClientContext>());
        readers.push_back(client->Generate(contexts.back().get(), start));
        continue;
      }
      GenerateManyRequest request;
      request.set_tag(tag);
      *request.mutable_start() = start;
      CHECK(stream->Write(request));
    }
    AwaitWaiting(*cluster, kRequests);
    state.counters["queued_MB"] = router.ResidentMb();
    for (const auto& each : contexts) each->TryCancel();
    context.TryCancel();
    stream->Finish();
    for (const auto& reader : readers) reader->Finish();
  }
}
BENCHMARK(BM_MemoryOf10000QueuedRequests)
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace regatta
