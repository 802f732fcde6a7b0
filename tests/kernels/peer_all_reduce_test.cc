// The peers' all-reduce within one process: as many ranks as there are GPUs, and a few on one GPU,
// each on a stream of its own with grids that fit beside one another. Bits must be those of a sum
// on the host. Skips loudly without a GPU.
#include "kernels/cuda/peer_all_reduce.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "kernels/cuda/peer_beside.h"
#include "kernels/dtype.h"
#include "tests/kernels/device_tensor.h"

namespace regatta {
namespace {

// Streams must not share queues, nor a kernel's first launch wait for another that spins.
const bool configured = setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1) == 0 &&
                        setenv("CUDA_MODULE_LOADING", "EAGER", 1) == 0;

void Check(cudaError_t error) { CHECK(error == cudaSuccess) << cudaGetErrorString(error); }

int NumDevices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

// Whether every device can address the memory of every other.
bool AllReach(int num_devices) {
  for (int from = 0; from < num_devices; ++from) {
    for (int to = 0; to < num_devices; ++to) {
      int reaches = 1;
      if (from != to) Check(cudaDeviceCanAccessPeer(&reaches, from, to));
      if (reaches == 0) return false;
    }
  }
  return true;
}

// Memory of one rank's device.
class Memory {
 public:
  Memory(int device, size_t num_bytes) : device_(device) {
    Check(cudaSetDevice(device_));
    Check(cudaMalloc(&data_, num_bytes));
  }
  Memory(Memory&& other) noexcept : device_(other.device_), data_(other.data_) {
    other.data_ = nullptr;
  }
  ~Memory() {
    if (data_ != nullptr) cudaFree(data_);
  }
  void* data() const { return data_; }

 private:
  int device_;
  void* data_ = nullptr;
};

// The ranks of a sum, in this process.
class Peers {
 public:
  Peers(int size, int num_devices, size_t one_shot_bytes, size_t two_shot_bytes,
        size_t beside_bytes = 0) {
    Check(cudaHostAlloc(reinterpret_cast<void**>(&abort_), sizeof(*abort_),
                        cudaHostAllocPortable | cudaHostAllocMapped));
    *abort_ = 0;
    PeerGroup shape;
    shape.size = size;
    shape.one_shot_bytes = one_shot_bytes;
    shape.two_shot_bytes = two_shot_bytes;
    shape.beside_bytes = beside_bytes;
    shape.abort = abort_;
    for (int rank = 0; rank < size; ++rank) {
      devices_.push_back(rank % num_devices);
      buffers_.emplace_back(devices_[rank], PeerBufferBytes(shape));
      shape.buffers[rank] = buffers_[rank].data();
      streams_.emplace_back();
      Check(cudaStreamCreateWithFlags(&streams_.back(), cudaStreamNonBlocking));
    }
    for (int rank = 0; rank < size; ++rank) {
      groups_.push_back(shape);
      groups_[rank].index = rank;
      Use(rank);
      for (int peer = 0; peer < num_devices; ++peer) {
        if (peer != devices_[rank]) cudaDeviceEnablePeerAccess(peer, 0);
      }
      cudaGetLastError();  // enabled before
      PreparePeerBuffer(groups_[rank], streams_[rank]);
    }
    Sync();
  }
  ~Peers() {
    for (cudaStream_t stream : streams_) cudaStreamDestroy(stream);
    cudaFreeHost(abort_);
  }

  int size() const { return static_cast<int>(groups_.size()); }
  int device(int rank) const { return devices_[rank]; }
  const PeerGroup& group(int rank) const { return groups_[rank]; }
  cudaStream_t stream(int rank) const { return streams_[rank]; }
  void Use(int rank) const { Check(cudaSetDevice(devices_[rank])); }
  void Abort() { *static_cast<volatile uint32_t*>(abort_) = 1; }
  void Sync() const {
    for (int rank = 0; rank < size(); ++rank) {
      Use(rank);
      Check(cudaStreamSynchronize(streams_[rank]));
      Check(cudaGetLastError());
    }
  }

 private:
  uint32_t* abort_ = nullptr;
  std::vector<int> devices_;
  std::vector<Memory> buffers_;
  std::vector<cudaStream_t> streams_;
  std::vector<PeerGroup> groups_;
};

struct Shape {
  int ranks;
  int devices;
  // Of one device, all grids must be resident at once.
  size_t most_bytes() const {
    return devices >= ranks ? 8 << 20 : ranks == 2 ? 1 << 20 : 128 << 10;
  }
};

class PeerAllReduceTest : public testing::TestWithParam<int> {
 protected:
  // Ranks on one device; 0 = one on each device there is.
  void SetUp() override {
    const int devices = NumDevices();
    if (devices == 0) GTEST_SKIP() << "NO GPU, NOTHING TESTED";
    if (GetParam() == 0 && devices < 2) GTEST_SKIP() << "NOTHING TESTED: 1 GPU, needed are 2";
    if (GetParam() == 0 && !AllReach(devices)) {
      GTEST_SKIP() << "NOTHING TESTED: these GPUs do not reach one another's memory";
    }
    shape_ = GetParam() > 0 ? Shape{GetParam(), 1}
                            : Shape{std::min(devices, kMaxPeers), std::min(devices, kMaxPeers)};
  }
  Shape shape_;
};
INSTANTIATE_TEST_SUITE_P(Ranks, PeerAllReduceTest, testing::Values(2, 3, 4, 0),
                         [](const auto& info) {
                           return info.param == 0 ? "EachOnItsGpu"
                                                  : std::to_string(info.param) + "OnOneGpu";
                         });

// Values with zeros of both signs, so that the pattern of unwritten memory is among them.
template <typename T>
std::vector<T> RandomValues(Random& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<T> values(count);
  for (T& value : values) {
    const uint64_t kind = random() % 8;
    value = FromFloat<T>(kind == 0 ? -0.0f : kind == 1 ? 0.0f : normal(random));
  }
  return values;
}

// In rank order in float32, one rounding, no -0.
template <typename T>
std::vector<T> HostSum(const std::vector<std::vector<T>>& inputs) {
  std::vector<T> sums(inputs[0].size());
  for (size_t i = 0; i < sums.size(); ++i) {
    float sum = 0;
    for (const auto& input : inputs) sum += ToFloat(input[i]);
    sums[i] = FromFloat<T>(sum);
    if (ToFloat(sums[i]) == 0) sums[i] = T{};
  }
  return sums;
}

// One sum of several that are under way: memory and what should come out.
template <typename T>
struct Round {
  std::vector<Memory> memory;  // by rank
  std::vector<T> want;
};

template <typename T>
Round<T> MakeRound(const Peers& peers, Random& random, size_t count) {
  Round<T> round;
  std::vector<std::vector<T>> inputs;
  for (int rank = 0; rank < peers.size(); ++rank) {
    inputs.push_back(RandomValues<T>(random, count));
    round.memory.emplace_back(peers.device(rank), count * sizeof(T));
    Check(cudaMemcpy(round.memory[rank].data(), inputs[rank].data(), count * sizeof(T),
                     cudaMemcpyHostToDevice));
  }
  round.want = HostSum(inputs);
  return round;
}

template <typename T>
std::vector<T> ReadBack(const Memory& memory, size_t count) {
  std::vector<T> values(count);
  Check(cudaMemcpy(values.data(), memory.data(), count * sizeof(T), cudaMemcpyDeviceToHost));
  return values;
}

template <typename T>
void ExpectSums(const Round<T>& round, const std::string& what) {
  for (size_t rank = 0; rank < round.memory.size(); ++rank) {
    const std::vector<T> got = ReadBack<T>(round.memory[rank], round.want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(std::memcmp(&got[i], &round.want[i], sizeof(T)), 0)
          << what << ", rank " << rank << ", element " << i << " of " << got.size() << ": "
          << ToFloat(got[i]) << ", should be " << ToFloat(round.want[i]);
    }
  }
}

template <typename T>
void ExpectAllSums(const Peers& peers, const std::vector<Round<T>>& rounds, DType dtype) {
  peers.Sync();
  for (size_t i = 0; i < rounds.size(); ++i) {
    ExpectSums(rounds[i], DTypeName(dtype) + std::string(", sum ") + std::to_string(i));
  }
}

// Sizes around the limits between ways, each used again after more and after less.
template <typename T>
void CheckSums(DType dtype, const Shape& shape) {
  const size_t one_shot = shape.most_bytes() / 4;
  const Peers peers(shape.ranks, shape.devices, one_shot, shape.most_bytes());
  Random random(TestSeed());
  std::vector<Round<T>> rounds;
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (const size_t bytes : {size_t{16}, one_shot, size_t{4096}, one_shot + 16,
                               shape.most_bytes(), size_t{48}, one_shot + 16 * 1001, size_t{8192},
                               size_t{16}, one_shot * 2, shape.most_bytes() * 2 + 48}) {
      rounds.push_back(MakeRound<T>(peers, random, bytes / sizeof(T)));
    }
  }
  // The first rank runs ahead as far as it can.
  for (int rank = 0; rank < peers.size(); ++rank) {
    peers.Use(rank);
    for (const Round<T>& round : rounds) {
      const Tensor x = Tensor::Of(round.memory[rank].data(), dtype, round.want.size());
      ASSERT_TRUE(PeersCanSum(x));
      PeerAllReduce(peers.group(rank), x, peers.stream(rank));
    }
  }
  ExpectAllSums(peers, rounds, dtype);
}

TEST_P(PeerAllReduceTest, SumsAreThoseOfTheHostBitForBit) {
  CheckSums<float>(DType::kFloat32, shape_);
  CheckSums<BFloat16>(DType::kBFloat16, shape_);
  CheckSums<Float16>(DType::kFloat16, shape_);
}

// Rank 0 waits for a peer that does nothing.
void ExpectAbortEndsItsWait(Peers& peers) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(cudaStreamQuery(peers.stream(0)), cudaErrorNotReady);
  peers.Abort();
  for (int i = 0; i < 100 && cudaStreamQuery(peers.stream(0)) == cudaErrorNotReady; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(cudaStreamQuery(peers.stream(0)), cudaSuccess) << "still waiting after a second";
}

// Pushed by copies, two under way; every slot is used again and again, with more and with less.
template <typename T>
void CheckSumsBeside(DType dtype, const Shape& shape) {
  constexpr uint32_t kFirst = 4085;  // flags begin anew at 4,095
  // More than a grid of threads takes at once, where kernels of other ranks have room beside it.
  const size_t most = shape.devices >= shape.ranks || shape.ranks == 2 ? 4 << 20 : 64 << 10;
  const Peers peers(shape.ranks, shape.devices, 4096, 8192, most);
  Random random(TestSeed());
  std::vector<Round<T>> rounds;
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (const size_t bytes : {most, size_t{16}, size_t{4112}, most, size_t{8192}}) {
      rounds.push_back(MakeRound<T>(peers, random, bytes / sizeof(T)));
    }
  }
  const auto sum = [&](int rank, uint32_t number) {
    return Tensor::Of(rounds[number].memory[rank].data(), dtype, rounds[number].want.size());
  };
  const auto count = static_cast<uint32_t>(rounds.size());
  for (int rank = 0; rank < peers.size(); ++rank) {
    peers.Use(rank);
    for (uint32_t number = 0; number <= count; ++number) {
      if (number < count) {
        Check(
            PushBeside(peers.group(rank), sum(rank, number), kFirst + number, peers.stream(rank)));
      }
      if (number == 0) continue;
      AddPushed(peers.group(rank), sum(rank, number - 1), kFirst + number - 1, peers.stream(rank));
    }
  }
  ExpectAllSums(peers, rounds, dtype);
}

TEST_P(PeerAllReduceTest, SumsBesideOtherWorkAreThoseOfTheHostBitForBit) {
  CheckSumsBeside<float>(DType::kFloat32, shape_);
  CheckSumsBeside<BFloat16>(DType::kBFloat16, shape_);
  CheckSumsBeside<Float16>(DType::kFloat16, shape_);
}

TEST_P(PeerAllReduceTest, AbortEndsTheWaitForAPartThatNeverComes) {
  Peers peers(shape_.ranks, shape_.devices, 4096, 8192, 4096);
  const Memory x(peers.device(0), 4096);
  peers.Use(0);
  AddPushed(peers.group(0), Tensor::Of(x.data(), DType::kFloat32, 1024), 0, peers.stream(0));
  ExpectAbortEndsItsWait(peers);
}

TEST_P(PeerAllReduceTest, RecordedSumsRepeatOnChangingInputs) {
  const Peers peers(shape_.ranks, shape_.devices, 16 << 10, 64 << 10);
  Random random(TestSeed());
  std::vector<Round<BFloat16>> rounds;
  for (const size_t count : {4096, 16384, 8}) {
    rounds.push_back(MakeRound<BFloat16>(peers, random, count));
  }
  std::vector<cudaGraphExec_t> graphs(peers.size());
  for (int rank = 0; rank < peers.size(); ++rank) {
    peers.Use(rank);
    cudaGraph_t graph = nullptr;
    Check(cudaStreamBeginCapture(peers.stream(rank), cudaStreamCaptureModeRelaxed));
    for (const auto& round : rounds) {
      PeerAllReduce(peers.group(rank),
                    Tensor::Of(round.memory[rank].data(), DType::kBFloat16, round.want.size()),
                    peers.stream(rank));
    }
    Check(cudaStreamEndCapture(peers.stream(rank), &graph));
    Check(cudaGraphInstantiate(&graphs[rank], graph, 0));
    cudaGraphDestroy(graph);
  }
  for (int replay = 0; replay < 1000; ++replay) {
    for (auto& round : rounds) {
      std::vector<std::vector<BFloat16>> inputs;
      for (int rank = 0; rank < peers.size(); ++rank) {
        inputs.push_back(std::vector<BFloat16>(
            round.want.size(), FromFloat<BFloat16>(float((replay + rank) % 9 - 4) / 3)));
        Check(cudaMemcpy(round.memory[rank].data(), inputs[rank].data(),
                         inputs[rank].size() * sizeof(BFloat16), cudaMemcpyHostToDevice));
      }
      round.want = HostSum(inputs);
    }
    for (int rank = 0; rank < peers.size(); ++rank) {
      peers.Use(rank);
      Check(cudaGraphLaunch(graphs[rank], peers.stream(rank)));
    }
    peers.Sync();
    for (const auto& round : rounds) ExpectSums(round, "replay " + std::to_string(replay));
    if (HasFatalFailure()) break;
  }
  for (cudaGraphExec_t graph : graphs) cudaGraphExecDestroy(graph);
}

// out within two roundings of the formula, residual bit for bit.
template <typename T>
void CheckAddNorm(DType dtype, const Shape& shape, int64_t rows, int64_t width) {
  const size_t bytes = rows * width * sizeof(T);
  const Peers peers(shape.ranks, shape.devices, bytes, 0);
  Random random(TestSeed());
  const Round<T> x = MakeRound<T>(peers, random, rows * width);
  const std::vector<T> residual = RandomValues<T>(random, rows * width);
  const std::vector<T> weight = RandomValues<T>(random, width);
  std::vector<Memory> residuals, weights, outs;
  for (int rank = 0; rank < peers.size(); ++rank) {
    residuals.emplace_back(peers.device(rank), bytes);
    weights.emplace_back(peers.device(rank), width * sizeof(T));
    outs.emplace_back(peers.device(rank), bytes);
    Check(cudaMemcpy(residuals[rank].data(), residual.data(), bytes, cudaMemcpyHostToDevice));
    Check(
        cudaMemcpy(weights[rank].data(), weight.data(), width * sizeof(T), cudaMemcpyHostToDevice));
  }
  for (int rank = 0; rank < peers.size(); ++rank) {
    peers.Use(rank);
    PeerAllReduceAddNorm(peers.group(rank), Tensor::Of(x.memory[rank].data(), dtype, rows, width),
                         Tensor::Of(residuals[rank].data(), dtype, rows, width),
                         Tensor::Of(weights[rank].data(), dtype, width), 1e-5f,
                         Tensor::Of(outs[rank].data(), dtype, rows, width), peers.stream(rank));
  }
  peers.Sync();
  const std::vector<T> first = ReadBack<T>(outs[0], rows * width);
  for (int rank = 0; rank < peers.size(); ++rank) {
    const std::vector<T> summed = ReadBack<T>(residuals[rank], rows * width);
    const std::vector<T> out = ReadBack<T>(outs[rank], rows * width);
    ASSERT_EQ(std::memcmp(out.data(), first.data(), bytes), 0) << "rank " << rank;
    for (int64_t row = 0; row < rows; ++row) {
      double squares = 0;
      for (int64_t i = row * width; i < (row + 1) * width; ++i) {
        const T want = FromFloat<T>(ToFloat(residual[i]) + ToFloat(x.want[i]));
        ASSERT_EQ(ToFloat(summed[i]), ToFloat(want)) << "residual " << i << ", rank " << rank;
        squares += double(ToFloat(want)) * ToFloat(want);
      }
      const double scale = 1 / std::sqrt(squares / width + 1e-5);
      for (int64_t i = row * width; i < (row + 1) * width; ++i) {
        const double want = ToFloat(summed[i]) * scale * ToFloat(weight[i - row * width]);
        ASSERT_NEAR(ToFloat(out[i]), want, std::abs(want) * (2 * RoundingOf(dtype) + 1e-5) + 1e-7)
            << "out " << i << ", rank " << rank;
      }
    }
  }
}

TEST_P(PeerAllReduceTest, FusedResidualAndNormMatchTheFormula) {
  CheckAddNorm<BFloat16>(DType::kBFloat16, shape_, 1, 4096);
  CheckAddNorm<BFloat16>(DType::kBFloat16, shape_, 7, 16384);
  CheckAddNorm<Float16>(DType::kFloat16, shape_, 3, 2056);
  CheckAddNorm<float>(DType::kFloat32, shape_, 5, 1028);
  if (shape_.ranks == 2 || shape_.devices > 1) {  // more rows than blocks
    CheckAddNorm<BFloat16>(DType::kBFloat16, shape_, 300, 256);
  }
}

TEST_P(PeerAllReduceTest, AbortEndsAWaitForAPeerThatNeverComes) {
  for (const size_t bytes : {size_t{4096}, size_t{32} << 10}) {
    Peers peers(shape_.ranks, shape_.devices, 16 << 10, 64 << 10);
    const Memory x(peers.device(0), bytes);
    peers.Use(0);
    PeerAllReduce(peers.group(0), Tensor::Of(x.data(), DType::kFloat32, bytes / 4),
                  peers.stream(0));
    ExpectAbortEndsItsWait(peers);
  }
}

TEST(PeerLimitsTest, OthersAreLeftToNccl) {
  alignas(16) char memory[32];
  const auto fits = [&](DType dtype, int64_t count, int offset) {
    return PeersCanSum(Tensor::Of(memory + offset, dtype, count));
  };
  EXPECT_TRUE(fits(DType::kFloat32, 1024, 0));
  EXPECT_TRUE(fits(DType::kBFloat16, 8, 16));
  EXPECT_TRUE(fits(DType::kFloat32, 1028, 0));  // larger than both: in pieces
  EXPECT_FALSE(fits(DType::kBFloat16, 12, 0));  // not a multiple of 16 bytes
  EXPECT_FALSE(fits(DType::kBFloat16, 16, 8));  // not aligned
  EXPECT_FALSE(fits(DType::kInt32, 16, 0));
  // A buffer of a group of 8 with the usual limits: three slots of 8 parts and of two times 8 MB.
  PeerGroup group;
  group.size = 8;
  group.one_shot_bytes = DefaultOneShotBytes(8);
  group.two_shot_bytes = kDefaultTwoShotBytes;
  EXPECT_EQ(PeerBufferBytes(group), size_t{32} + 3 * (8 * (size_t{256} << 10) + 2 * (8 << 20)));
}

}  // namespace
}  // namespace regatta
