// Collectives and messages between real processes; what happens when one of them dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/dtype.h"
#include "tests/worker/rank_processes.h"
#include "worker/collectives/shared_memory_group.h"

namespace regatta {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Duration kTimeout = absl::Seconds(20);

std::shared_ptr<SharedMemoryGroup> Join(const SharedMemoryOffer& offer, int rank) {
  auto group = SharedMemoryGroup::Join(offer.id(), rank, kTimeout, nullptr);
  CHECK(group.ok()) << group.status();
  return *std::move(group);
}

std::unique_ptr<Communicator> JoinAll(const SharedMemoryOffer& offer, int rank, int count,
                                      absl::Duration timeout = kTimeout) {
  return MakeSharedMemoryCommunicator(Join(offer, rank), 0, 1, count, timeout);
}

std::unique_ptr<SharedMemoryOffer> Offer(int count) {
  auto offer = SharedMemoryOffer::Create(count);
  CHECK(offer.ok()) << offer.status();
  return *std::move(offer);
}

// Values whose sums depend on the order of addition: many signs and magnitudes.
float ValueOf(int rank, int64_t i) {
  const uint32_t bits = static_cast<uint32_t>(i * 8 + rank + 1) * 2654435761u;
  const float mantissa = static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-31f;
  return mantissa * static_cast<float>(1 << (bits % 13));
}

template <typename T>
std::vector<T> Values(int rank, int64_t count) {
  std::vector<T> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = FromFloat<T>(ValueOf(rank, i));
  return values;
}

template <typename T>
std::vector<T> SumInRankOrder(int ranks, int64_t count) {
  std::vector<float> sum(count, 0.0f);
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<T> values = Values<T>(rank, count);
    for (int64_t i = 0; i < count; ++i) sum[i] += ToFloat(values[i]);
  }
  std::vector<T> rounded(count);
  for (int64_t i = 0; i < count; ++i) rounded[i] = FromFloat<T>(sum[i]);
  return rounded;
}

template <typename T>
std::string Difference(const char* what, const std::vector<T>& got, const std::vector<T>& want) {
  if (std::memcmp(got.data(), want.data(), want.size() * sizeof(T)) == 0) return "";
  return absl::StrCat(what, " of ", want.size(), " differs; ");
}

template <typename T>
std::string CheckCollectives(Communicator& comm, DType dtype, int64_t count) {
  const int ranks = comm.size(), rank = comm.rank();
  std::vector<T> x = Values<T>(rank, count);
  comm.AllReduceSum(Tensor::Of(x.data(), dtype, count));
  std::string errors = Difference("all-reduce", x, SumInRankOrder<T>(ranks, count));

  x = Values<T>(rank, count);
  std::vector<T> gathered(count * ranks), want;
  comm.AllGather(Tensor::Of(x.data(), dtype, count),
                 Tensor::Of(gathered.data(), dtype, ranks, count));
  for (int peer = 0; peer < ranks; ++peer) {
    for (T value : Values<T>(peer, count)) want.push_back(value);
  }
  errors += Difference("all-gather", gathered, want);

  x = Values<T>(rank, count * ranks);
  std::vector<T> slice(count);
  comm.ReduceScatter(Tensor::Of(x.data(), dtype, ranks, count),
                     Tensor::Of(slice.data(), dtype, 1, count));
  const std::vector<T> sum = SumInRankOrder<T>(ranks, count * ranks);
  errors += Difference("reduce-scatter", slice,
                       {sum.begin() + rank * count, sum.begin() + (rank + 1) * count});

  x = Values<T>(rank, count);
  comm.Broadcast(Tensor::Of(x.data(), dtype, count), ranks - 1);
  return errors + Difference("broadcast", x, Values<T>(ranks - 1, count));
}

class RanksTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, RanksTest, ::testing::Values(2, 4, 8));

TEST_P(RanksTest, CollectivesAreExactInEveryDtypeAndSize) {
  const auto offer = Offer(GetParam());
  const auto said = RunRanks(GetParam(), [&](int rank) {
    const auto comm = JoinAll(*offer, rank, GetParam());
    std::string errors;
    for (int64_t count : {1, 2, 7, 1000, 4097, 70000, 200001}) {
      errors += CheckCollectives<float>(*comm, DType::kFloat32, count);
      errors += CheckCollectives<BFloat16>(*comm, DType::kBFloat16, count);
      errors += CheckCollectives<Float16>(*comm, DType::kFloat16, count);
    }
    return errors + (comm->status().ok() ? "" : std::string(comm->status().message()));
  });
  EXPECT_THAT(said, Each(""));
}

TEST_P(RanksTest, AKilledRankIsNamedWithinHalfASecond) {
  const auto offer = Offer(GetParam());
  const auto said = RunRanks(GetParam(), [&](int rank) {
    const auto comm = JoinAll(*offer, rank, GetParam());
    float x[4] = {1, 2, 3, 4};
    comm->AllReduceSum(Tensor::Of(x, DType::kFloat32, 4));
    if (rank == 1) raise(SIGKILL);
    const absl::Time start = absl::Now();
    for (int i = 0; i < 1000 && comm->status().ok(); ++i) {
      comm->AllReduceSum(Tensor::Of(x, DType::kFloat32, 4));
    }
    const absl::Duration took = absl::Now() - start;
    return absl::StrCat(took < absl::Milliseconds(500) ? "soon: " : "late: ",
                        comm->status().ToString());
  });
  for (int rank = 0; rank < GetParam(); ++rank) {
    if (rank == 1) continue;
    EXPECT_THAT(said[rank], StartsWith("soon: UNAVAILABLE: rank 1 has died"));
  }
  EXPECT_EQ(said[1], "died");
}

TEST(SharedMemoryCommunicatorTest, ADeathTravelsDownAPipelineOfWaits) {
  const auto offer = Offer(4);
  const auto said = RunRanks(4, [&](int rank) -> std::string {
    const auto comm = JoinAll(*offer, rank, 4);
    int64_t x = 0;
    const Tensor tensor = Tensor::Of(&x, DType::kInt64, 1);
    if (rank == 0) raise(SIGKILL);
    comm->Recv(tensor, rank - 1, kActivationChannel);
    if (rank < 3) comm->Send(tensor, rank + 1, kActivationChannel);
    return std::string(comm->status().message());
  });
  for (int rank = 1; rank < 4; ++rank) EXPECT_THAT(said[rank], StartsWith("rank 0 has died"));
}

TEST(SharedMemoryCommunicatorTest, MessagesKeepTheirOrderAndSizePerChannel) {
  const auto offer = Offer(2);
  const auto said = RunRanks(2, [&](int rank) -> std::string {
    const auto comm = JoinAll(*offer, rank, 2);
    // More than a ring holds, so that the sender must wait; tokens flow the other way.
    for (int64_t i = 0; i < 400; ++i) {
      std::vector<int64_t> message(1 + (i * 977) % 20000, i);
      const Tensor tensor = Tensor::Of(message.data(), DType::kInt64, message.size());
      int32_t token = static_cast<int32_t>(i);
      const Tensor token_tensor = Tensor::Of(&token, DType::kInt32, 1);
      if (rank == 0) {
        comm->Send(tensor, 1, kActivationChannel);
        if (i < 30) continue;  // may lag
        comm->Recv(token_tensor, 1, kTokenChannel);
        if (token != i - 30) return absl::StrCat("token ", token, " at ", i);
      } else {
        std::fill(message.begin(), message.end(), -1);
        comm->Recv(tensor, 0, kActivationChannel);
        if (message.front() != i || message.back() != i) return absl::StrCat("message ", i);
        comm->Send(token_tensor, 0, kTokenChannel);
      }
    }
    return std::string(comm->status().message());
  });
  EXPECT_THAT(said, Each(""));
}

TEST(SharedMemoryCommunicatorTest, AMessageOfAnotherSizeIsAnErrorOnBothSides) {
  const auto offer = Offer(2);
  const auto said = RunRanks(2, [&](int rank) {
    const auto comm = JoinAll(*offer, rank, 2);
    char x[64] = {};
    if (rank == 0) comm->Send(Tensor::Of(x, DType::kUint8, 64), 1, kActivationChannel);
    if (rank == 1) comm->Recv(Tensor::Of(x, DType::kUint8, 32), 0, kActivationChannel);
    comm->AllReduceSum(Tensor::Of(x, DType::kFloat32, 4));
    return std::string(comm->status().message());
  });
  EXPECT_THAT(said,
              Each(HasSubstr("rank 1 expected 32 bytes from rank 0 on channel 0, which sent 64")));
}

TEST(SharedMemoryCommunicatorTest, SubgroupsWorkSideBySide) {
  const auto offer = Offer(4);  // two stages of two
  const auto said = RunRanks(4, [&](int rank) -> std::string {
    const auto group = Join(*offer, rank);
    const int stage = rank / 2;
    const auto tp = MakeSharedMemoryCommunicator(group, stage * 2, 1, 2, kTimeout);
    const auto pipeline = MakeSharedMemoryCommunicator(group, rank % 2, 2, 2, kTimeout);
    float value = static_cast<float>(rank + 1);
    const Tensor x = Tensor::Of(&value, DType::kFloat32, 1);
    for (int i = 0; i < 100; ++i) {
      value = static_cast<float>(rank + 1);
      tp->AllReduceSum(x);
      if (value != (stage == 0 ? 3 : 7)) return absl::StrCat("tp sum ", value);
      if (stage == 0) pipeline->Send(x, 1, kActivationChannel);
      if (stage == 1) pipeline->Recv(x, 0, kActivationChannel);
      pipeline->AllReduceSum(x);
      if (value != 6) return absl::StrCat("pipeline sum ", value);
    }
    return std::string(pipeline->status().message());
  });
  EXPECT_THAT(said, Each(""));
}

TEST(SharedMemoryCommunicatorTest, AbortWakesEveryWaiterWithItsReason) {
  const auto offer = Offer(3);
  const auto said = RunRanks(3, [&](int rank) -> std::string {
    const auto comm = JoinAll(*offer, rank, 3);
    float x = 1;
    const Tensor tensor = Tensor::Of(&x, DType::kFloat32, 1);
    if (rank == 0) {
      absl::SleepFor(absl::Milliseconds(100));
      comm->Abort("the router closed the stream of rank 0");
    }
    const absl::Time start = absl::Now();
    comm->AllReduceSum(tensor);
    const bool soon = absl::Now() - start < absl::Milliseconds(100 + 100);
    return absl::StrCat(soon ? "" : "late ", comm->status().message());
  });
  EXPECT_THAT(said, Each("the router closed the stream of rank 0"));
}

TEST(SharedMemoryCommunicatorTest, ADeadlineNamesTheRankThatDidNotCome) {
  const auto offer = Offer(3);
  const auto said = RunRanks(3, [&](int rank) -> std::string {
    const auto comm = JoinAll(*offer, rank, 3, absl::Milliseconds(300));
    float x = 1;
    if (rank == 2) absl::SleepFor(absl::Milliseconds(600));
    comm->AllReduceSum(Tensor::Of(&x, DType::kFloat32, 1));
    return std::string(comm->status().message());
  });
  EXPECT_THAT(said, Each(HasSubstr("waited 300ms while all-reducing for rank 2")));
}

TEST(SharedMemoryGroupTest, JoiningNamesTheMissingRanks) {
  const auto offer = Offer(4);
  const auto said = RunRanks(2, [&](int rank) {
    const auto group = SharedMemoryGroup::Join(offer->id(), rank, absl::Milliseconds(200), nullptr);
    return group.status().ToString();
  });
  EXPECT_THAT(said[0], StartsWith("DEADLINE_EXCEEDED"));
  EXPECT_THAT(said[0], HasSubstr("joining the group for rank 2, 3"));
}

TEST(SharedMemoryGroupTest, WhoEntersSeesWhoIsMissingAndWhoHasDied) {
  const auto offer = Offer(3);
  const auto group = SharedMemoryGroup::Enter(offer->id(), 1, nullptr);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_THAT((*group)->Missing(), ElementsAre(0, 2));
  EXPECT_TRUE((*group)->CheckPeers().ok());
  const auto said = RunRanks(1, [&](int) -> std::string {
    const auto peer = SharedMemoryGroup::Enter(offer->id(), 2, nullptr);
    raise(SIGKILL);
    return "";
  });
  EXPECT_EQ(said[0], "died");
  EXPECT_THAT((*group)->Missing(), ElementsAre(0));
  EXPECT_THAT((*group)->CheckPeers().message(), HasSubstr("rank 2 has died"));
}

TEST(SharedMemoryGroupTest, PartingWaitsForWhoLivesAndHasNotParted) {
  const auto offer = Offer(3);
  const auto said = RunRanks(3, [&](int rank) -> std::string {
    const auto group = Join(*offer, rank);
    group->Abort("over");  // parting works all the same
    if (rank == 2) raise(SIGKILL);
    if (rank == 0) {
      if (group->Part(absl::Milliseconds(100))) return "did not wait for rank 1";
      return group->Part(kTimeout) ? "" : "rank 1 has not parted";
    }
    absl::SleepFor(absl::Milliseconds(300));
    return group->Part(kTimeout) ? "" : "rank 0 has not parted";
  });
  EXPECT_THAT(said, ElementsAre("", "", "died"));
}

TEST(SharedMemoryGroupTest, BadIdsAndRanksAreRefused) {
  const auto offer = Offer(2);
  const auto code = [](const std::string& id, int rank) {
    return SharedMemoryGroup::Join(id, rank, absl::ZeroDuration(), nullptr).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code("", 0), invalid);
  EXPECT_EQ(code("shm:1:2", 0), invalid);
  EXPECT_EQ(code("shm:1/../..:2:3", 0), invalid);
  EXPECT_EQ(code(absl::StrCat("shm:", getpid(), ":1:7"), 0), invalid);  // stdout is no segment
  EXPECT_EQ(code(offer->id() + "1", 0), invalid);                       // another nonce
  EXPECT_EQ(code(std::string("shm:\0:1:1", 9), 0), invalid);
  EXPECT_EQ(code(offer->id(), 2), invalid);
  EXPECT_EQ(code(offer->id(), -1), invalid);
  EXPECT_EQ(code(offer->id(), 0), absl::StatusCode::kDeadlineExceeded);  // joins, waits in vain
  EXPECT_EQ(code(offer->id(), 0), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(SharedMemoryOffer::Create(0).ok());
  EXPECT_FALSE(SharedMemoryOffer::Create(kMaxSharedMemoryRanks + 1).ok());
}

TEST(SharedMemoryGroupTest, StopEndsAWaitAtOnce) {
  const auto offer = Offer(2);
  std::atomic<bool> stop = false;
  std::thread stopper([&] {
    absl::SleepFor(absl::Milliseconds(100));
    stop = true;
  });
  const absl::Time start = absl::Now();
  const auto group = SharedMemoryGroup::Join(offer->id(), 0, kTimeout, &stop);
  EXPECT_EQ(group.status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  stopper.join();
}

int OpenFiles() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

TEST(SharedMemoryGroupTest, NothingIsLeftBehind) {
  const int before = OpenFiles();
  for (int i = 0; i < 50; ++i) {
    auto offer = Offer(1);
    const auto group = Join(*offer, 0);
    offer.reset();
    const auto comm = MakeSharedMemoryCommunicator(group, 0, 1, 1, kTimeout);
    float x = 1;
    comm->AllReduceSum(Tensor::Of(&x, DType::kFloat32, 1));
    EXPECT_EQ(x, 1);
  }
  EXPECT_EQ(OpenFiles(), before);
}

TEST(SelfCommunicatorTest, CopiesAndLeavesSumsAlone) {
  const auto comm = MakeSelfCommunicator();
  float x[2] = {1, 2}, out[2] = {};
  comm->AllReduceSum(Tensor::Of(x, DType::kFloat32, 2));
  comm->AllGather(Tensor::Of(x, DType::kFloat32, 2), Tensor::Of(out, DType::kFloat32, 2));
  EXPECT_EQ(out[1], 2);
  EXPECT_EQ(comm->size(), 1);
}

}  // namespace
}  // namespace regatta
