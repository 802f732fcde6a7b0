// Groups of GPUs, one process per GPU as in production: collectives against sums on the host, and
// what becomes of a group whose members die, stay away or leave. Skips loudly with fewer than two
// GPUs; nothing here may touch CUDA before the ranks are forked.
#include "worker/collectives/nccl_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/hash.h"
#include "kernels/cuda/cuda_ops.h"
#include "tests/kernels/device_tensor.h"
#include "tests/worker/rank_processes.h"
#include "worker/cuda_device.h"

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Duration kTimeout = absl::Seconds(60);

// Counted in a child, for the parent must stay free of CUDA.
int NumGpus() {
  static const int count = [] {
    int gpus = 0;
    CHECK(absl::SimpleAtoi(RunRanks(1, [](int) { return absl::StrCat(NumCudaDevices()); })[0],
                           &gpus));
    return gpus;
  }();
  return count;
}

// Memory of all ranks of a test: the newest group's id, and a counter to wait for one another.
class Board {
 public:
  Board() {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    shared_ = new (memory) Shared();
  }
  ~Board() { munmap(shared_, sizeof(Shared)); }

  void Publish(const std::string& id) {
    CHECK_LT(id.size(), sizeof(shared_->id));
    std::memcpy(shared_->id, id.c_str(), id.size() + 1);
    ++shared_->generation;
  }
  std::string Await(uint32_t generation) const {
    while (shared_->generation < generation) absl::SleepFor(absl::Milliseconds(1));
    return shared_->id;
  }
  // Returns once `count` arrivals have been made in all.
  void Arrive(int count) {
    ++shared_->arrivals;
    AwaitArrivals(count);
  }
  void AwaitArrivals(int count) const {
    while (shared_->arrivals < count) absl::SleepFor(absl::Milliseconds(1));
  }

 private:
  struct Shared {
    std::atomic<uint32_t> generation = 0;
    std::atomic<int> arrivals = 0;
    char id[1024];
  };
  Shared* shared_;
};

// One rank in its process.
struct Rank {
  Rank(Board& board, int rank, int world) : board(board), rank(rank), world(world) {
    std::string error;
    ops = MakeCudaOps(rank, &error);
    CHECK(ops != nullptr) << error;
  }

  absl::Status Join(absl::Duration timeout = kTimeout, const std::atomic<bool>* stop = nullptr) {
    ++generation;
    std::unique_ptr<GroupOffer> offer;
    if (rank == 0) {
      auto made = OfferNcclGroup(world);
      CHECK(made.ok()) << made.status();
      offer = *std::move(made);
      board.Publish(offer->id());
    }
    auto joined = JoinNcclGroup(board.Await(generation), rank, world, timeout, stop, *ops);
    if (!joined.ok()) return joined.status();
    group = *std::move(joined);
    return absl::OkStatus();
  }
  std::unique_ptr<Communicator> Comm(int first, int stride, int count, size_t beside_bytes = 0) {
    auto made = group->MakeCommunicator(first, stride, count, beside_bytes);
    CHECK(made.ok()) << made.status();
    return *std::move(made);
  }
  std::unique_ptr<Communicator> JoinAll() {
    const absl::Status status = Join();
    CHECK(status.ok()) << status;
    return Comm(0, 1, world);
  }
  void Sync() {
    std::string error;
    CHECK(ops->Sync(&error)) << error;
  }

  Board& board;
  const int rank, world;
  uint32_t generation = 0;
  std::unique_ptr<Ops> ops;
  std::shared_ptr<RankGroup> group;
};

// Quarters of small integers: exact in every dtype, as are their sums over 16 ranks in any order.
double Value(DType dtype, int rank, int64_t i) {
  const double value = static_cast<double>((i * 7 + rank * 13) % 17 - 8);
  if (dtype == DType::kUint8) return value + 8;
  return dtype == DType::kInt32 || dtype == DType::kInt64 ? value : value / 4;
}
std::vector<double> Values(DType dtype, int rank, int64_t count) {
  std::vector<double> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = Value(dtype, rank, i);
  return values;
}
std::vector<double> Sums(DType dtype, int world, int64_t count) {
  std::vector<double> sums(count, 0);
  for (int rank = 0; rank < world; ++rank) {
    for (int64_t i = 0; i < count; ++i) sums[i] += Value(dtype, rank, i);
  }
  return sums;
}

DeviceTensor Made(Ops& ops, DType dtype, const std::vector<double>& values) {
  DeviceTensor tensor(ops, dtype, {static_cast<int64_t>(values.size())});
  tensor.Write(values);
  return tensor;
}

// Empty, or what is wrong at the first place that differs.
std::string Difference(const DeviceTensor& got, const std::vector<double>& want,
                       const std::string& what) {
  const std::vector<double> values = got.Read();
  for (size_t i = 0; i < want.size(); ++i) {
    if (values[i] != want[i]) {
      return absl::StrCat(what, ": element ", i, " of ", want.size(), " is ", values[i],
                          ", should be ", want[i], "; ");
    }
  }
  return "";
}

std::string CheckCollectives(Rank& rank, Communicator& comm, DType dtype, int64_t count) {
  const int world = rank.world, me = rank.rank;
  const std::string what = absl::StrCat(DTypeName(dtype), " x ", count);
  const std::vector<double> mine = Values(dtype, me, count);
  std::string wrong;

  const DeviceTensor x = Made(*rank.ops, dtype, mine);
  const DeviceTensor all(*rank.ops, dtype, {world * count});
  comm.AllGather(x, all);
  std::vector<double> gathered;
  for (int r = 0; r < world; ++r) {
    for (double value : Values(dtype, r, count)) gathered.push_back(value);
  }
  wrong += Difference(all, gathered, absl::StrCat("AllGather ", what));

  const DeviceTensor cast = Made(*rank.ops, dtype, mine);
  comm.Broadcast(cast, world - 1);
  wrong += Difference(cast, Values(dtype, world - 1, count), absl::StrCat("Broadcast ", what));
  if (dtype == DType::kFloat8E4M3) return wrong;  // moved, never summed

  comm.AllReduceSum(x);
  wrong += Difference(x, Sums(dtype, world, count), absl::StrCat("AllReduceSum ", what));

  const DeviceTensor parts = Made(*rank.ops, dtype, Values(dtype, me, world * count));
  const DeviceTensor part(*rank.ops, dtype, {count});
  comm.ReduceScatter(parts, part);
  const std::vector<double> sums = Sums(dtype, world, world * count);
  wrong += Difference(part, {sums.begin() + me * count, sums.begin() + (me + 1) * count},
                      absl::StrCat("ReduceScatter ", what));
  return wrong;
}

class NcclGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (NumGpus() < 2) GTEST_SKIP() << "NOTHING TESTED: " << NumGpus() << " GPUs, needed are 2";
  }
  // body(rank) in a process per GPU.
  static std::vector<std::string> OnEachGpu(const std::function<std::string(Rank&)>& body,
                                            absl::Duration timeout = absl::Seconds(100)) {
    Board board;
    const int world = NumGpus();
    return RunRanks(
        world,
        [&](int index) {
          Rank rank(board, index, world);
          return body(rank);
        },
        timeout);
  }
};

TEST_F(NcclGroupTest, CollectivesAreThoseOfTheHost) {
  const auto said = OnEachGpu([](Rank& rank) {
    const auto comm = rank.JoinAll();
    std::string wrong;
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt32,
                              DType::kInt64, DType::kUint8, DType::kFloat8E4M3}) {
      for (const int64_t count : {1, 3, 255, 4097, 1 << 14}) {
        wrong += CheckCollectives(rank, *comm, dtype, count);
      }
    }
    if (!comm->status().ok()) wrong += comm->status().ToString();
    rank.board.Arrive(rank.world);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

// Rounded sums: near the exact ones, and the same bits everywhere, at sizes on both sides of every
// change of algorithm.
TEST_F(NcclGroupTest, SumsHaveEqualBitsOnAllRanks) {
  const auto said = OnEachGpu([](Rank& rank) {
    const auto comm = rank.JoinAll();
    std::string hashes;
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      for (const int64_t count : {5, 4096, 130'001, 600'000, 5'000'000}) {
        if (count > 1'000'000 && dtype != DType::kBFloat16) continue;  // NCCL's, once
        std::vector<double> sums(count, 0);
        std::vector<double> mine;
        for (int r = 0; r < rank.world; ++r) {
          Random random(100 * count + r);
          std::normal_distribution<float> normal;
          for (int64_t i = 0; i < count; ++i) {
            const double value = normal(random);
            sums[i] += value;
            if (r == rank.rank) mine.push_back(value);
          }
        }
        const DeviceTensor x = Made(*rank.ops, dtype, mine);
        comm->AllReduceSum(x);
        const std::vector<double> got = x.Read();
        for (int64_t i = 0; i < count; ++i) {
          const double error = std::abs(got[i] - sums[i]);
          if (!(error <= RoundingOf(dtype) * 8 * rank.world)) {
            return absl::StrCat("element ", i, " of ", count, " is off by ", error);
          }
        }
        const std::vector<uint8_t> bits = x.Bits();
        absl::StrAppend(&hashes, Fnv1a({reinterpret_cast<const char*>(bits.data()), bits.size()}),
                        " ");
      }
    }
    rank.board.Arrive(rank.world);
    return hashes;
  });
  EXPECT_THAT(said[0], Not(HasSubstr("off")));
  EXPECT_THAT(said, Each(said[0]));
}

TEST_F(NcclGroupTest, ARecordedSumRepeatsOnChangingInputs) {
  const auto said = OnEachGpu([](Rank& rank) {
    const auto comm = rank.JoinAll();
    std::string wrong;
    for (const int64_t count : {64, 4096, 300'000}) {
      DeviceTensor x = Made(*rank.ops, DType::kBFloat16, std::vector<double>(count, 0));
      comm->AllReduceSum(x);  // connects
      rank.Sync();
      const auto graph = rank.ops->Capture([&] {
        comm->AllReduceSum(x);
        comm->AllReduceSum(x);
      });
      CHECK(graph != nullptr);
      const int replays = count > 10'000 ? 50 : 1000;
      for (int i = 0; i < replays && wrong.empty(); ++i) {
        x.Write(std::vector<double>(count, (rank.rank + i) % 5 - 2));
        graph->Replay();
        double sum = 0;
        for (int r = 0; r < rank.world; ++r) sum += (r + i) % 5 - 2;
        wrong +=
            Difference(x, std::vector<double>(count, sum * rank.world), absl::StrCat("replay ", i));
      }
    }
    if (!comm->status().ok()) wrong += comm->status().ToString();
    rank.board.Arrive(rank.world);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

// The product, sum and norm of a layer in as few kernels as there may be, and one by one.
std::string CompareLayers(Rank& rank, Communicator& comm, DType dtype, int64_t tokens) {
  constexpr int64_t kIn = 256, kHidden = 2048;
  Ops& ops = *rank.ops;
  Random random(7 + rank.rank);
  const TestWeight weight = NormalWeight(ops, dtype, kHidden, kIn, random);
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, kIn}, random);
  Random same(7);  // on all ranks
  const DeviceTensor norm = DeviceTensor::Normal(ops, dtype, {kHidden}, same);
  DeviceTensor residual = DeviceTensor::Normal(ops, dtype, {tokens, kHidden}, same);
  const std::vector<double> start = residual.Read();
  const DeviceTensor delta(ops, dtype, {tokens, kHidden}), out(ops, dtype, {tokens, kHidden});

  ops.Linear(x, *weight.weight, Tensor{}, delta);
  comm.AllReduceSum(delta);
  ops.AddRmsNorm(residual, delta, norm, 1e-5f, out);
  const std::vector<double> want_residual = residual.Read(), want = out.Read();

  residual.Write(start);
  ops.LinearReduceAddNorm(x, *weight.weight, comm, residual, delta, norm, 1e-5f, out);
  std::string wrong =
      Difference(residual, want_residual, absl::StrCat("residual of ", tokens, " tokens"));
  const std::vector<double> got = out.Read();
  for (size_t i = 0; i < got.size() && wrong.empty(); ++i) {
    if (!(std::abs(got[i] - want[i]) <= (2 * RoundingOf(dtype) + 1e-6) * std::abs(want[i]))) {
      wrong = absl::StrCat("norm ", i, " of ", tokens, " tokens: ", got[i], " for ", want[i], "; ");
    }
  }
  return wrong;
}

TEST_F(NcclGroupTest, FusedSumsAndNormsEqualSeparateOnes) {
  const auto said = OnEachGpu([](Rank& rank) {
    const auto comm = rank.JoinAll();
    std::string wrong;
    for (const int64_t tokens : {1, 17, 64, 300}) {
      wrong += CompareLayers(rank, *comm, DType::kBFloat16, tokens);
      wrong += CompareLayers(rank, *comm, DType::kFloat32, tokens);
    }
    rank.board.Arrive(rank.world);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

// Sums beside products, two under way, slots in turn: bits of sums one after another.
TEST_F(NcclGroupTest, SumsBesideProductsEqualOthers) {
  const auto said = OnEachGpu([](Rank& rank) {
    constexpr int64_t kHidden = 1024;
    constexpr size_t kMost = 512 * kHidden * 2;
    const absl::Status joined = rank.Join();
    CHECK(joined.ok()) << joined;
    const auto comm = rank.Comm(0, 1, rank.world, kMost);
    std::string wrong;
    if ((comm->BesideBytes() >= kMost) != (rank.world == 2)) wrong += "not as many ranks as said";
    Ops& ops = *rank.ops;
    Random random(7 + rank.rank);
    const TestWeight weight = NormalWeight(ops, DType::kBFloat16, kHidden, kHidden, random);
    const DeviceTensor y(ops, DType::kBFloat16, {512, kHidden});
    for (int round = 0; round < 12 && wrong.empty(); ++round) {
      const int64_t rows = round % 2 == 0 ? 512 : 3;
      const DeviceTensor a = DeviceTensor::Normal(ops, DType::kBFloat16, {rows, kHidden}, random);
      const DeviceTensor b = DeviceTensor::Normal(ops, DType::kBFloat16, {rows, kHidden}, random);
      const std::vector<double> start_a = a.Read(), start_b = b.Read();
      comm->BeginSum(a);
      ops.Linear(b, *weight.weight, Tensor{}, y.tensor().Rows(0, rows));
      comm->BeginSum(b);
      comm->AwaitSum();
      ops.Linear(a, *weight.weight, Tensor{}, y.tensor().Rows(0, rows));
      comm->AwaitSum();
      const std::vector<double> got_a = a.Read(), got_b = b.Read();
      DeviceTensor again_a(ops, DType::kBFloat16, {rows, kHidden});
      DeviceTensor again_b(ops, DType::kBFloat16, {rows, kHidden});
      again_a.Write(start_a);
      again_b.Write(start_b);
      comm->AllReduceSum(again_a);
      comm->AllReduceSum(again_b);
      wrong += Difference(again_a, got_a, absl::StrCat("first sum of round ", round));
      wrong += Difference(again_b, got_b, absl::StrCat("second sum of round ", round));
    }
    if (!comm->status().ok()) wrong += comm->status().ToString();
    rank.board.Arrive(rank.world);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

TEST_F(NcclGroupTest, SubsetsDoNotHearOneAnother) {
  const auto said = OnEachGpu([](Rank& rank) {
    const auto all = rank.JoinAll();
    const int stride = rank.world % 2 == 0 ? 2 : rank.world;  // even and odd ranks, or each alone
    const auto comm = rank.Comm(rank.rank % stride, stride, rank.world / stride);
    const DeviceTensor x = Made(*rank.ops, DType::kInt32, {1.0 + rank.rank});
    comm->AllReduceSum(x);
    double sum = 0;
    for (int r = rank.rank % stride; r < rank.world; r += stride) sum += 1 + r;
    std::string wrong = Difference(x, {sum}, "sum of a subset");
    if (comm->rank() != rank.rank / stride) wrong += absl::StrCat("rank ", comm->rank());
    rank.board.Arrive(rank.world);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

TEST_F(NcclGroupTest, MessagesKeepTheirOrder) {
  const auto said = OnEachGpu([](Rank& rank) {
    const auto comm = rank.JoinAll();
    std::string wrong;
    for (int message = 0; message < 20; ++message) {  // down the pipeline, each stage adding 1
      const int64_t count = 1 + message * 1000;
      const DeviceTensor x = Made(*rank.ops, DType::kBFloat16, std::vector<double>(count, message));
      if (rank.rank > 0) {
        comm->Recv(x, rank.rank - 1, kActivationChannel);
        wrong += Difference(x, std::vector<double>(count, message + rank.rank), "activations");
      }
      const DeviceTensor next =
          Made(*rank.ops, DType::kBFloat16, std::vector<double>(count, message + rank.rank + 1));
      if (rank.rank + 1 < rank.world) comm->Send(next, rank.rank + 1, kActivationChannel);
      rank.Sync();
    }
    rank.board.Arrive(rank.world);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

// The first stage asks for ids only when it needs them: the last goes on meanwhile, and may reuse
// the memory it sent from.
TEST_F(NcclGroupTest, IdsWaitForTheirReceiverWithoutHoldingUpTheSender) {
  constexpr int kMessages = 8;
  const auto said = OnEachGpu([](Rank& rank) {
    const auto comm = rank.JoinAll();
    std::string wrong;
    if (rank.rank == rank.world - 1) {
      DeviceTensor ids(*rank.ops, DType::kInt32, {100});
      for (int message = 0; message < kMessages; ++message) {
        ids.Write(std::vector<double>(100, message));
        comm->Send(ids, 0, kTokenChannel);
      }
      rank.Sync();
      rank.board.Arrive(1);
      const DeviceTensor many = Made(*rank.ops, DType::kInt32, std::vector<double>(50'000, 7));
      comm->Send(many, 0, kTokenChannel);
      rank.Sync();
    } else if (rank.rank == 0) {
      rank.board.AwaitArrivals(1);
      const DeviceTensor ids(*rank.ops, DType::kInt32, {100});
      for (int message = 0; message < kMessages; ++message) {
        comm->Recv(ids, rank.world - 1, kTokenChannel);
        wrong += Difference(ids, std::vector<double>(100, message), "ids");
      }
      const DeviceTensor many(*rank.ops, DType::kInt32, {50'000});
      comm->Recv(many, rank.world - 1, kTokenChannel);
      wrong += Difference(many, std::vector<double>(50'000, 7), "many ids");
    }
    rank.board.Arrive(rank.world + 1);
    return wrong;
  });
  EXPECT_THAT(said, Each(""));
}

TEST_F(NcclGroupTest, JoiningAndLeavingGivesAllMemoryBack) {
  constexpr int kWarm = 3, kCycles = 20;
  const auto said = OnEachGpu([](Rank& rank) -> std::string {
    const DeviceTensor x = Made(*rank.ops, DType::kFloat32, std::vector<double>(100'000, 1));
    uint64_t before = 0;
    for (int cycle = 0; cycle < kWarm + kCycles; ++cycle) {
      if (cycle == kWarm) before = rank.ops->FreeDeviceMemory();
      auto comm = rank.JoinAll();
      comm->AllReduceSum(x);
      rank.Sync();
      if (!comm->status().ok()) return comm->status().ToString();
      rank.board.Arrive((2 * cycle + 1) * rank.world);  // before anyone's abort reaches the others
      if (cycle % 2 == 1) rank.group->Abort("dissolved");  // as the service does
      comm.reset();
      rank.group.reset();
      rank.board.Arrive((2 * cycle + 2) * rank.world);
    }
    uint64_t after = 0;
    for (int i = 0; i < 100 && after < before; ++i) {  // NCCL frees in the background
      after = rank.ops->FreeDeviceMemory();
      absl::SleepFor(absl::Milliseconds(50));
    }
    return after >= before ? "" : absl::StrCat(before - after, " bytes are gone");
  });
  EXPECT_THAT(said, Each(""));
}

TEST_F(NcclGroupTest, ADeadRankEndsTheOthersWaits) {
  const auto said = OnEachGpu([](Rank& rank) -> std::string {
    auto comm = rank.JoinAll();
    const DeviceTensor x = Made(*rank.ops, DType::kFloat32, std::vector<double>(100'000, 1));
    comm->AllReduceSum(x);
    rank.Sync();
    if (rank.rank == 1) {
      absl::SleepFor(absl::Milliseconds(300));  // the others wait for it by now
      raise(SIGKILL);
    }
    comm->AllReduceSum(x);
    rank.Sync();
    const absl::Status seen = comm->status();
    const absl::Time leaving = absl::Now();
    comm->AllReduceSum(x);  // returns at once
    comm.reset();
    rank.group.reset();
    if (absl::Now() - leaving > absl::Seconds(5)) return "leaving took too long";
    return seen.ToString();
  });
  for (int rank = 0; rank < NumGpus(); ++rank) {
    if (rank == 1) {
      EXPECT_EQ(said[rank], "died");
    } else {
      EXPECT_THAT(said[rank], AllOf(StartsWith("UNAVAILABLE"), HasSubstr("rank 1 has died")));
    }
  }
}

TEST_F(NcclGroupTest, AbortReachesWaitingRanksWithItsReason) {
  const auto said = OnEachGpu([](Rank& rank) -> std::string {
    auto comm = rank.JoinAll();
    const DeviceTensor x = Made(*rank.ops, DType::kFloat32, std::vector<double>(1000, 1));
    comm->AllReduceSum(x);
    rank.Sync();
    rank.board.Arrive(rank.world);
    const absl::Time start = absl::Now();
    if (rank.rank == 0) {
      absl::SleepFor(absl::Milliseconds(200));
      rank.group->Abort("the router closed the stream of rank 0");
    } else {
      comm->AllReduceSum(x);
    }
    rank.Sync();
    const bool soon = absl::Now() - start < absl::Seconds(2);
    const std::string message(rank.group->status().message());
    comm.reset();
    rank.group.reset();
    return absl::StrCat(soon ? "" : "late: ", message);
  });
  EXPECT_THAT(said, Each("the router closed the stream of rank 0"));
}

TEST_F(NcclGroupTest, IdsOfOtherGroupsAreRefused) {
  const auto said = OnEachGpu([](Rank& rank) -> std::string {
    if (rank.rank > 0) return "";
    const auto offer = OfferNcclGroup(2);
    CHECK(offer.ok()) << offer.status();
    const std::string id = (*offer)->id();
    const auto code = [&](const std::string& text, int index, int world) {
      return JoinNcclGroup(text, index, world, absl::Seconds(1), nullptr, *rank.ops)
          .status()
          .code();
    };
    const std::vector<absl::StatusCode> codes = {code("", 0, 2),
                                                 code("shm:1:2:3", 0, 2),
                                                 code("nccl/1/2/zz/x", 0, 2),
                                                 code(id.substr(1), 0, 2),
                                                 code(id, 0, 3),
                                                 code(id, 2, 2),
                                                 code(id, -1, 2),
                                                 code("nccl/1" + id.substr(id.find('/', 5)), 0, 2)};
    for (size_t i = 0; i < codes.size(); ++i) {
      if (codes[i] != absl::StatusCode::kInvalidArgument) {
        return absl::StrCat("case ", i, ": ", absl::StatusCodeToString(codes[i]));
      }
    }
    return "";
  });
  EXPECT_THAT(said, Each(""));
}

// These take one GPU.
class LonelyRankTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (NumGpus() == 0) GTEST_SKIP() << "NOTHING TESTED: no GPU";
  }
};

TEST_F(LonelyRankTest, ADeadlineNamesTheMissingRanks) {
  Board board;
  const auto said = RunRanks(1, [&](int) {
    Rank rank(board, 0, 3);
    const absl::Time start = absl::Now();
    const absl::Status status = rank.Join(absl::Seconds(2));
    const absl::Duration took = absl::Now() - start;
    const bool fits = took >= absl::Seconds(2) && took < absl::Seconds(5);
    return absl::StrCat(fits ? "" : absl::FormatDuration(took), status.ToString());
  });
  EXPECT_THAT(said[0], AllOf(StartsWith("DEADLINE_EXCEEDED"), HasSubstr("for rank 1, 2")));
}

TEST_F(LonelyRankTest, StopEndsAJoin) {
  Board board;
  const auto said = RunRanks(1, [&](int) {
    Rank rank(board, 0, 2);
    std::atomic<bool> stop = false;
    std::thread stopper([&] {
      absl::SleepFor(absl::Milliseconds(500));
      stop = true;
    });
    const absl::Time start = absl::Now();
    const absl::Status status = rank.Join(kTimeout, &stop);
    const absl::Duration took = absl::Now() - start;
    stopper.join();
    return absl::StrCat(took < absl::Seconds(4) ? "" : absl::FormatDuration(took),
                        status.ToString());
  });
  EXPECT_THAT(said[0], StartsWith("CANCELLED"));
}

}  // namespace
}  // namespace regatta
