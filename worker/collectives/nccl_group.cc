// Ids, joining and subsets; see nccl_group.h.
#include "worker/collectives/nccl_group.h"

#include <cuda_runtime.h>
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "kernels/cuda/cuda_ops.h"
#include "worker/collectives/nccl_communicator.h"
#include "worker/collectives/nccl_link.h"
#include "worker/collectives/peer_sums.h"
#include "worker/collectives/shared_memory_group.h"

namespace regatta {
namespace {

constexpr char kTag[] = "nccl";
// Members that take longer to make a communicator never come.
constexpr absl::Duration kSubsetTimeout = absl::Minutes(1);
// Ranks whose sums may run beside other work. Of more each sends all it has to all, which NVLink
// takes longer for than for two shots; not measured yet.
constexpr int kMostBeside = 2;

// "nccl/<NCCL's version>/<ranks>/<ncclUniqueId, hex>/<id of the host's segment>".
struct NcclGroupId {
  int version = 0;
  int world_size = 0;
  ncclUniqueId meeting = {};
  std::string host;
};

// NVLink multicast needs memory and rights that not every host grants; NCCL's trees and rings do
// without. Read by NCCL once, at its first call.
void ConfigureNccl() {
  static std::once_flag once;
  std::call_once(once, [] { setenv("NCCL_NVLS_ENABLE", "0", 1); });
}

std::string FormatId(const NcclGroupId& id) {
  const absl::string_view meeting(id.meeting.internal, sizeof(id.meeting.internal));
  return absl::StrCat(kTag, "/", id.version, "/", id.world_size, "/",
                      absl::BytesToHexString(meeting), "/", id.host);
}

absl::StatusOr<NcclGroupId> ParseNcclId(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  NcclGroupId id;
  if (parts.size() != 5 || parts[0] != kTag || !absl::SimpleAtoi(parts[1], &id.version) ||
      !absl::SimpleAtoi(parts[2], &id.world_size) ||
      parts[3].size() != 2 * sizeof(id.meeting.internal) ||
      !std::all_of(parts[3].begin(), parts[3].end(), absl::ascii_isxdigit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("communicator id '", text.substr(0, 64), "' is not one of a GPU group"));
  }
  const std::string meeting = absl::HexStringToBytes(parts[3]);
  std::memcpy(id.meeting.internal, meeting.data(), sizeof(id.meeting.internal));
  id.host = parts[4];
  return id;
}

class NcclOffer final : public GroupOffer {
 public:
  NcclOffer(std::string id, std::unique_ptr<SharedMemoryOffer> host)
      : id_(std::move(id)), host_(std::move(host)) {}
  const std::string& id() const override { return id_; }

 private:
  const std::string id_;
  const std::unique_ptr<SharedMemoryOffer> host_;
};

class NcclGroup final : public RankGroup {
 public:
  explicit NcclGroup(std::shared_ptr<NcclResources> resources) : resources_(std::move(resources)) {}

  int rank() const override { return resources_->rank; }
  int world_size() const override { return resources_->world_size; }
  absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(int first, int stride, int count,
                                                                 size_t beside_bytes) override;
  void Abort(const std::string& reason) override {
    resources_->link->Fail(absl::UnavailableError(reason)).IgnoreError();
  }
  absl::Status status() const override { return resources_->link->status(); }

 private:
  absl::StatusOr<NcclSubset> MakeSubset(const Members& members, size_t beside_bytes,
                                        absl::Time deadline);

  const std::shared_ptr<NcclResources> resources_;
};

// Subsets partition the group: every rank makes one of the same shape at the same time. Ids return
// from the last member to the first, so these two are connected now: the last must not wait for
// the first to ask for the ids of a step that it has not been told of yet.
absl::StatusOr<std::unique_ptr<Communicator>> NcclGroup::MakeCommunicator(int first, int stride,
                                                                          int count,
                                                                          size_t beside_bytes) {
  const int last = first + (count - 1) * stride;
  CHECK(first >= 0 && stride >= 1 && count >= 1 && last < world_size());
  CHECK((rank() - first) % stride == 0 && rank() >= first && rank() <= last);
  const Members members{first, stride, count};
  if (resources_->subsets.count(members) == 0) {
    const absl::Time deadline = absl::Now() + kSubsetTimeout;
    ASSIGN_OR_RETURN(NcclSubset subset, MakeSubset(members, beside_bytes, deadline));
    resources_->subsets.emplace(members, std::move(subset));
    if (count > 1 && rank() == last) {
      RETURN_IF_ERROR(resources_->tokens->ConnectTo(first, deadline));
    } else if (count > 1 && rank() == first) {
      RETURN_IF_ERROR(resources_->tokens->ConnectFrom(last, deadline));
    }
  }
  return MakeNcclCommunicator(resources_, members);
}

absl::StatusOr<NcclSubset> NcclGroup::MakeSubset(const Members& members, size_t beside_bytes,
                                                 absl::Time deadline) {
  NcclLink& link = *resources_->link;
  NcclSubset subset{resources_->world, nullptr, nullptr};
  if (members.count < world_size()) {
    ASSIGN_OR_RETURN(subset.communicator,
                     link.Split(resources_->world, members.first, rank(), 0, deadline));
  }
  if (members.count == 1) return subset;
  PeerLimits limits = resources_->limits;
  if (members.count == kMostBeside) limits.beside_bytes = static_cast<int64_t>(beside_bytes);
  ASSIGN_OR_RETURN(
      subset.peers,
      PeerMemory::Create(link, subset.communicator, (rank() - members.first) / members.stride,
                         members.count, limits, *resources_->ops, deadline));
  if (limits.beside_bytes > 0 && subset.peers != nullptr) {
    ASSIGN_OR_RETURN(subset.beside, PeerSums::Create(*subset.peers));
  }
  return subset;
}

absl::Status CheckJoin(const NcclGroupId& id, int rank, int world_size) {
  if (id.world_size != world_size || rank < 0 || rank >= world_size) {
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " of ", world_size,
                                                   " joins a group prepared for ", id.world_size,
                                                   " ranks"));
  }
  if (id.version != NcclVersion()) {
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " has NCCL ", NcclVersion(),
                                                   ", the group was prepared with ", id.version));
  }
  return absl::OkStatus();
}

}  // namespace

int NcclVersion() {
  ConfigureNccl();
  int version = 0;
  ncclGetVersion(&version);
  return version;
}

absl::StatusOr<std::unique_ptr<GroupOffer>> OfferNcclGroup(int world_size) {
  ConfigureNccl();
  ASSIGN_OR_RETURN(std::unique_ptr<SharedMemoryOffer> host, SharedMemoryOffer::Create(world_size));
  NcclGroupId id{NcclVersion(), world_size, {}, host->id()};
  if (const ncclResult_t result = ncclGetUniqueId(&id.meeting); result != ncclSuccess) {
    return absl::UnavailableError(
        absl::StrCat("NCCL cannot listen for a group: ", ncclGetErrorString(result), " (",
                     ncclGetLastError(nullptr), ")"));
  }
  return std::make_unique<NcclOffer>(FormatId(id), std::move(host));
}

absl::StatusOr<std::shared_ptr<RankGroup>> JoinNcclGroup(const std::string& text, int rank,
                                                         int world_size, absl::Duration timeout,
                                                         const std::atomic<bool>* stop, Ops& ops,
                                                         const PeerLimits& limits) {
  ConfigureNccl();
  const absl::Time deadline = absl::Now() + timeout;
  ASSIGN_OR_RETURN(const NcclGroupId id, ParseNcclId(text));
  RETURN_IF_ERROR(CheckJoin(id, rank, world_size));
  // On another host the segment cannot be opened, and its ranks do without.
  std::shared_ptr<SharedMemoryGroup> host;
  if (auto entered = SharedMemoryGroup::Enter(id.host, rank, stop); entered.ok()) {
    host = *std::move(entered);
  } else if (!absl::IsInvalidArgument(entered.status())) {
    return entered.status();
  }
  auto resources = std::make_shared<NcclResources>();
  resources->rank = rank;
  resources->world_size = world_size;
  resources->ops = &ops;
  resources->limits = limits;
  resources->stream = static_cast<cudaStream_t>(CudaStreamOf(ops));
  resources->link = NcclLink::Start(rank, CudaDeviceOf(ops), std::move(host), stop);
  NcclLink& link = *resources->link;
  ASSIGN_OR_RETURN(resources->world, link.Connect(id.meeting, world_size, deadline));
  // One multiprocessor moves a few kilobytes as fast as many do.
  ASSIGN_OR_RETURN(const int tokens, link.Split(resources->world, 0, rank, 1, deadline));
  ASSIGN_OR_RETURN(resources->tokens, NcclTokenChannel::Create(link, tokens, ops));
  return std::make_shared<NcclGroup>(std::move(resources));
}

}  // namespace regatta
