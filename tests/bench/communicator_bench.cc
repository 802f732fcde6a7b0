// All-reduce between CPU ranks (threads here, memory and futexes as between processes): what a
// layer of a decoding step pays twice.
#include <benchmark/benchmark.h>

#include <thread>
#include <vector>

#include "common/check.h"
#include "worker/collectives/shared_memory_group.h"

namespace regatta {
namespace {

void RunRank(const std::string& id, int rank, int ranks, int64_t count, int64_t iterations) {
  auto group = SharedMemoryGroup::Join(id, rank, absl::Seconds(10), nullptr);
  CHECK(group.ok()) << group.status();
  const auto comm = MakeSharedMemoryCommunicator(*group, 0, 1, ranks, absl::Seconds(10));
  std::vector<float> x(count, 1.0f);
  for (int64_t i = 0; i < iterations; ++i) {
    comm->AllReduceSum(Tensor::Of(x.data(), DType::kFloat32, count));
  }
  CHECK(comm->status().ok()) << comm->status();
}

// Arguments: ranks, bytes.
void BM_AllReduce(benchmark::State& state) {
  constexpr int64_t kIterations = 500;
  const int ranks = static_cast<int>(state.range(0));
  const int64_t count = state.range(1) / static_cast<int64_t>(sizeof(float));
  for (auto _ : state) {
    auto offer = SharedMemoryOffer::Create(ranks);
    CHECK(offer.ok()) << offer.status();
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] { RunRank((*offer)->id(), rank, ranks, count, kIterations); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  state.counters["seconds_per_call"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kIterations),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_AllReduce)
    ->ArgsProduct({{2, 4, 8}, {1 << 13, 1 << 17, 1 << 20}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace regatta
