// All-reduce of bfloat16 between this machine's GPUs, one process per GPU: NCCL beside the peers'
// memory in one and in two shots, and what a group chooses by itself. Calls follow one another in a
// recorded graph, as in a decoding step; a round's time is that of its slowest rank, and the median
// of the rounds is printed.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "kernels/cuda/cuda_ops.h"
#include "tests/worker/rank_processes.h"
#include "worker/collectives/nccl_group.h"
#include "worker/cuda_device.h"

namespace regatta {
namespace {

constexpr int kMaxRanks = 8;
constexpr int kRounds = 15;
constexpr int kNumSizes = 14;  // 8 KB to 64 MB
constexpr size_t SizeOfStep(int step) { return size_t{8192} << step; }

struct Variant {
  const char* name;
  PeerLimits limits;
  size_t most_bytes;
};
constexpr Variant kVariants[] = {{"NCCL", {0, 0}, 64 << 20},
                                 {"one shot", {2 << 20, 0}, 2 << 20},
                                 {"two shots", {0, 16 << 20}, 16 << 20},
                                 {"default", {-1, -1}, 64 << 20}};
constexpr int kNumVariants = 4;

// Memory of all ranks.
struct Shared {
  std::atomic<uint32_t> published;
  std::atomic<uint32_t> arrivals;
  char id[1024];
  double seconds[kNumVariants][kNumSizes][kRounds][kMaxRanks];
};

class RankBench {
 public:
  RankBench(Shared& shared, int rank, int world) : shared_(shared), rank_(rank), world_(world) {
    std::string error;
    ops_ = MakeCudaOps(rank, &error);
    CHECK(ops_ != nullptr) << error;
    memory_ = ops_->Allocate(SizeOfStep(kNumSizes - 1));
    CHECK(memory_.data() != nullptr) << "no device memory left";
  }

  void Run(int variant) {
    std::unique_ptr<GroupOffer> offer;
    if (rank_ == 0) {
      auto made = OfferNcclGroup(world_);
      CHECK(made.ok()) << made.status();
      offer = *std::move(made);
      std::snprintf(shared_.id, sizeof(shared_.id), "%s", offer->id().c_str());
      ++shared_.published;
    }
    while (shared_.published != static_cast<uint32_t>(variant + 1)) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    auto group = JoinNcclGroup(shared_.id, rank_, world_, absl::Seconds(60), nullptr, *ops_,
                               kVariants[variant].limits);
    CHECK(group.ok()) << group.status();
    auto comm = (*group)->MakeCommunicator(0, 1, world_);
    CHECK(comm.ok()) << comm.status();
    for (int step = 0; step < kNumSizes; ++step) {
      if (SizeOfStep(step) <= kVariants[variant].most_bytes) Measure(variant, step, **comm);
    }
    Meet();
  }

 private:
  void Meet() {
    const uint32_t mine = ++shared_.arrivals;
    const uint32_t all = (mine + world_ - 1) / world_ * world_;
    while (shared_.arrivals < all) {
    }
  }

  void Sync() {
    std::string error;
    CHECK(ops_->Sync(&error)) << error;
  }

  void Measure(int variant, int step, Communicator& comm) {
    const int calls = SizeOfStep(step) <= (256 << 10) ? 200
                      : SizeOfStep(step) <= (1 << 20) ? 50
                                                      : 10;
    const Tensor x = Tensor::Of(memory_.data(), DType::kBFloat16, SizeOfStep(step) / 2);
    comm.AllReduceSum(x);
    Sync();
    const auto graph = ops_->Capture([&] {
      for (int call = 0; call < calls; ++call) comm.AllReduceSum(x);
    });
    CHECK(graph != nullptr && comm.status().ok()) << comm.status();
    graph->Replay();
    Sync();
    for (int round = 0; round < kRounds; ++round) {
      Meet();
      const auto start = std::chrono::steady_clock::now();
      graph->Replay();
      Sync();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      shared_.seconds[variant][step][round][rank_] = took.count() / calls;
    }
    CHECK(comm.status().ok()) << comm.status();
  }

  Shared& shared_;
  const int rank_, world_;
  std::unique_ptr<Ops> ops_;
  Buffer memory_;
};

double MedianOfSlowest(const Shared& shared, int variant, int step, int world) {
  std::vector<double> rounds;
  for (const auto& ranks : shared.seconds[variant][step]) {
    rounds.push_back(*std::max_element(ranks, ranks + world));
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

void Print(const Shared& shared, int world) {
  std::printf("all-reduce of bfloat16 between %d GPUs, microseconds\n%10s", world, "bytes");
  for (const Variant& variant : kVariants) std::printf("%12s", variant.name);
  std::printf("\n");
  for (int step = 0; step < kNumSizes; ++step) {
    std::printf("%10zu", SizeOfStep(step));
    for (int variant = 0; variant < kNumVariants; ++variant) {
      if (SizeOfStep(step) > kVariants[variant].most_bytes) {
        std::printf("%12s", "");
      } else {
        std::printf("%12.1f", MedianOfSlowest(shared, variant, step, world) * 1e6);
      }
    }
    std::printf("\n");
  }
}

int Main() {
  int gpus = 0;
  // Counted in a child: the parent must not touch CUDA before it forks.
  CHECK(
      absl::SimpleAtoi(RunRanks(1, [](int) { return absl::StrCat(NumCudaDevices()); })[0], &gpus));
  const int world = std::min(gpus, kMaxRanks);
  if (world < 2) {
    std::fprintf(stderr, "%d GPUs, needed are 2\n", gpus);
    return 1;
  }
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  auto* shared = new (memory) Shared();
  const std::vector<std::string> said = RunRanks(
      world,
      [&](int rank) -> std::string {
        RankBench bench(*shared, rank, world);
        for (int variant = 0; variant < kNumVariants; ++variant) bench.Run(variant);
        return "";
      },
      absl::Minutes(5));
  for (const std::string& rank : said) {
    if (!rank.empty()) {
      std::fprintf(stderr, "a rank %s\n", rank.c_str());
      return 1;
    }
  }
  Print(*shared, world);
  return 0;
}

}  // namespace
}  // namespace regatta

int main() { return regatta::Main(); }
