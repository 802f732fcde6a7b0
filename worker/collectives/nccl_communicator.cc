// Collectives and messages between GPUs over NCCL; see nccl_communicator.h.
//
// Sums go through the peers' memory where they have mapped it; those of NCCL's ring and tree
// reduce each element once and hand the result on. Either way members hold equal bits.
#include "worker/collectives/nccl_communicator.h"

#include <cstdio>
#include <utility>

#include "absl/time/clock.h"
#include "common/check.h"

namespace regatta {
namespace {

// A backstop for the first call of a kind, which waits for its peers to connect; a peer's death is
// noticed within 100 ms, and a stall by the router long before this.
constexpr absl::Duration kIssueTimeout = absl::Minutes(5);
// Of leaving; all ranks leave at once, or are fenced.
constexpr absl::Duration kIdleTimeout = absl::Seconds(1);
constexpr absl::Duration kPartTimeout = absl::Seconds(2);

ncclDataType_t SumType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ncclFloat32;
    case DType::kBFloat16:
      return ncclBfloat16;
    case DType::kFloat16:
      return ncclFloat16;
    case DType::kInt32:
      return ncclInt32;
    case DType::kInt64:
      return ncclInt64;
    case DType::kUint8:
      return ncclUint8;
    case DType::kFloat8E4M3:
      break;
  }
  CHECK(false) << "sums of " << DTypeName(dtype);
  return ncclNumTypes;
}

static_assert(kSumsBeside == kPeerSumsBeside);

class NcclCommunicator final : public Communicator, public PeerReducer {
 public:
  NcclCommunicator(std::shared_ptr<NcclResources> resources, const Members& members)
      : resources_(std::move(resources)),
        members_(members),
        subset_(resources_->subsets.at(members)),
        rank_((resources_->rank - members.first) / members.stride),
        stream_(resources_->stream) {}

  int size() const override { return members_.count; }
  int rank() const override { return rank_; }
  const PeerGroup* peers() const override {
    return subset_.peers == nullptr ? nullptr : &subset_.peers->group();
  }
  void AllReduceSum(const Tensor& x) override;
  void BeginSum(const Tensor& x) override;
  void AwaitSum() override;
  size_t BesideBytes() const override {
    return subset_.beside == nullptr ? 0 : peers()->beside_bytes;
  }
  bool SumsAreKernels() const override { return peers() != nullptr; }
  void AllGather(const Tensor& x, const Tensor& out) override;
  void ReduceScatter(const Tensor& x, const Tensor& out) override;
  void Broadcast(const Tensor& x, int root) override;
  void Send(const Tensor& x, int peer, int channel) override;
  void Recv(const Tensor& x, int peer, int channel) override;
  absl::Status status() const override { return resources_->link->status(); }
  void Abort(const std::string& reason) override {
    resources_->link->Fail(absl::UnavailableError(reason)).IgnoreError();
  }

 private:
  void Check(const absl::Status& status) {
    if (!status.ok()) resources_->link->Fail(status).IgnoreError();
  }
  // A failure is the link's: status() tells.
  void Issue(const char* what, NcclLink::Call call) {
    resources_->link->Issue(subset_.communicator, what, Deadline(), call).IgnoreError();
  }
  static absl::Time Deadline() { return absl::Now() + kIssueTimeout; }
  int WorldRank(int member) const {
    CHECK(member >= 0 && member < members_.count && member != rank_);
    return members_.first + member * members_.stride;
  }

  const std::shared_ptr<NcclResources> resources_;
  const Members members_;
  const NcclSubset& subset_;
  const int rank_;
  const cudaStream_t stream_;
};

void NcclCommunicator::AllReduceSum(const Tensor& x) {
  CHECK(x.dense());
  if (peers() != nullptr && PeersCanSum(x)) {
    if (status().ok()) PeerAllReduce(*peers(), x, stream_);
    return;
  }
  Issue("all-reducing", [&](ncclComm_t comm) {
    return ncclAllReduce(x.data, x.data, x.num_elements(), SumType(x.dtype), ncclSum, comm,
                         stream_);
  });
}

void NcclCommunicator::BeginSum(const Tensor& x) {
  if (subset_.beside == nullptr) return AllReduceSum(x);
  if (status().ok()) Check(subset_.beside->Begin(x, stream_));
}

void NcclCommunicator::AwaitSum() {
  if (subset_.beside != nullptr && status().ok()) Check(subset_.beside->Await(stream_));
}

void NcclCommunicator::AllGather(const Tensor& x, const Tensor& out) {
  CHECK(x.dense() && out.dense());
  CHECK_EQ(out.num_bytes(), x.num_bytes() * members_.count);
  Issue("all-gathering", [&](ncclComm_t comm) {
    return ncclAllGather(x.data, out.data, x.num_bytes(), ncclUint8, comm, stream_);
  });
}

void NcclCommunicator::ReduceScatter(const Tensor& x, const Tensor& out) {
  CHECK(x.dense() && out.dense());
  CHECK_EQ(x.num_bytes(), out.num_bytes() * members_.count);
  CHECK(x.dtype == out.dtype);
  Issue("reduce-scattering", [&](ncclComm_t comm) {
    return ncclReduceScatter(x.data, out.data, out.num_elements(), SumType(x.dtype), ncclSum, comm,
                             stream_);
  });
}

void NcclCommunicator::Broadcast(const Tensor& x, int root) {
  CHECK(x.dense() && root >= 0 && root < members_.count);
  Issue("broadcasting", [&](ncclComm_t comm) {
    return ncclBroadcast(x.data, x.data, x.num_bytes(), ncclUint8, root, comm, stream_);
  });
}

// On the rank's stream: the next step's work waits until the peer takes this one's activations.
void NcclCommunicator::Send(const Tensor& x, int peer, int channel) {
  CHECK(x.dense());
  const int to = WorldRank(peer);
  if (channel == kTokenChannel) {
    resources_->tokens->Send(x, to, Deadline()).IgnoreError();
    return;
  }
  CHECK_EQ(channel, kActivationChannel);
  Issue("sending", [&](ncclComm_t comm) {
    return ncclSend(x.data, x.num_bytes(), ncclUint8, peer, comm, stream_);
  });
}

void NcclCommunicator::Recv(const Tensor& x, int peer, int channel) {
  CHECK(x.dense());
  const int from = WorldRank(peer);
  if (channel == kTokenChannel) {
    resources_->tokens->Receive(x, from, Deadline()).IgnoreError();
    return;
  }
  CHECK_EQ(channel, kActivationChannel);
  Issue("receiving", [&](ncclComm_t comm) {
    return ncclRecv(x.data, x.num_bytes(), ncclUint8, peer, comm, stream_);
  });
}

}  // namespace

// Nobody frees what a peer may still write to: every rank stops, unmaps, and waits for the others
// to have done so.
NcclResources::~NcclResources() {
  link->Close();
  bool mapped = false;
  for (const auto& [members, subset] : subsets) mapped |= subset.peers != nullptr;
  if (!mapped) return;
  if (!AwaitIdle(stream, *link, absl::Now() + kIdleTimeout).ok()) {
    link->Fail(absl::UnavailableError("the rank has left")).IgnoreError();  // ends kernels' waits
  }
  const auto is_idle = [this] {
    bool idle = cudaStreamQuery(stream) != cudaErrorNotReady;
    for (const auto& [members, subset] : subsets) {
      idle &= subset.beside == nullptr || subset.beside->Idle();
    }
    return idle;
  };
  const absl::Time deadline = absl::Now() + kIdleTimeout;
  while (!is_idle() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  // What a kernel or a copy may still use can neither be unmapped nor freed.
  const bool idle = is_idle();
  for (auto& [members, subset] : subsets) {
    if (idle && subset.peers != nullptr) subset.peers->Unmap();
  }
  if (idle && link->Part(kPartTimeout)) return;
  std::fprintf(stderr, "rank %d keeps the memory that its peers have not let go of\n", rank);
  for (auto& [members, subset] : subsets) {
    if (subset.peers != nullptr) subset.peers->Leak();
  }
}

std::unique_ptr<Communicator> MakeNcclCommunicator(std::shared_ptr<NcclResources> resources,
                                                   const Members& members) {
  return std::make_unique<NcclCommunicator>(std::move(resources), members);
}

}  // namespace regatta
