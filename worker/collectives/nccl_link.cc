// Calling NCCL without ever blocking in it, and ending it from outside; see nccl_link.h.
#include "worker/collectives/nccl_link.h"

#include <cuda_runtime.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(20);
constexpr absl::Duration kFinishTimeout = absl::Seconds(2);
constexpr absl::Duration kAbortTimeout = absl::Seconds(2);
// NCCL issues most operations within this many looks; then connections are being made.
constexpr int kLooksBeforeSleep = 2000;

ncclConfig_t Config(int max_blocks) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.splitShare = 0;  // each has its own abort flag
  if (max_blocks > 0) {
    config.minCTAs = 1;
    config.maxCTAs = max_blocks;
  }
  return config;
}

}  // namespace

NcclLink::NcclLink(int rank, int device, std::shared_ptr<SharedMemoryGroup> host,
                   const std::atomic<bool>* stop)
    : rank_(rank), device_(device), host_(std::move(host)), stop_(stop) {
  cudaSetDevice(device_);
  void* word = nullptr;
  if (cudaHostAlloc(&word, sizeof(*abort_word_), cudaHostAllocPortable | cudaHostAllocMapped) ==
      cudaSuccess) {
    abort_word_ = static_cast<uint32_t*>(word);
    *abort_word_ = 0;
  } else {
    cudaGetLastError();
  }
}

NcclLink::~NcclLink() { cudaFreeHost(abort_word_); }

std::shared_ptr<NcclLink> NcclLink::Start(int rank, int device,
                                          std::shared_ptr<SharedMemoryGroup> host,
                                          const std::atomic<bool>* stop) {
  std::shared_ptr<NcclLink> link(new NcclLink(rank, device, std::move(host), stop));
  // The thread shares the link: should NCCL not return from an abort, it outlives its owner.
  link->watcher_ = std::thread([link] { link->Watch(); });
  return link;
}

int NcclLink::AddSlot() {
  absl::MutexLock lock(&mutex_);
  communicators_.push_back(nullptr);
  return static_cast<int>(communicators_.size()) - 1;
}

absl::StatusOr<int> NcclLink::Connect(const ncclUniqueId& id, int world_size, absl::Time deadline) {
  const int slot = AddSlot();
  ncclConfig_t config = Config(0);
  ncclResult_t result;
  {
    absl::MutexLock lock(&mutex_);
    cudaSetDevice(device_);
    result = ncclCommInitRankConfig(&communicators_[slot], world_size, id, rank_, &config);
  }
  if (result != ncclSuccess && result != ncclInProgress) {
    return Fail(Error(result, slot, "joining the group"));
  }
  RETURN_IF_ERROR(AwaitIssued(slot, "joining the group", deadline));
  return slot;
}

absl::StatusOr<int> NcclLink::Split(int parent, int color, int key, int max_blocks,
                                    absl::Time deadline) {
  const int slot = AddSlot();
  ncclComm_t* child = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    child = &communicators_[slot];
  }
  constexpr const char* kWhat = "splitting the group";
  ncclConfig_t config = Config(max_blocks);
  RETURN_IF_ERROR(Issue(parent, kWhat, deadline, [&](ncclComm_t comm) {
    return ncclCommSplit(comm, color, key, child, &config);
  }));
  RETURN_IF_ERROR(AwaitIssued(slot, kWhat, deadline));
  return slot;
}

absl::Status NcclLink::Issue(int communicator, const char* what, absl::Time deadline, Call call) {
  ncclResult_t result = ncclInternalError;
  {
    absl::MutexLock lock(&mutex_);
    const ncclComm_t comm = communicators_[communicator];
    if (comm == nullptr) return status();
    cudaSetDevice(device_);
    result = call(comm);
  }
  if (result == ncclSuccess) return absl::OkStatus();
  if (result != ncclInProgress) return Fail(Error(result, communicator, what));
  return AwaitIssued(communicator, what, deadline);
}

absl::Status NcclLink::AwaitIssued(int communicator, const char* what, absl::Time deadline) {
  for (int look = 0;; ++look) {
    if (failed_) return status();
    const ncclResult_t state = StateOf(communicator);
    if (state == ncclSuccess) return absl::OkStatus();
    if (state != ncclInProgress) return Fail(Error(state, communicator, what));
    if (look < kLooksBeforeSleep) {
      std::this_thread::yield();
      continue;
    }
    if (absl::Now() > deadline) return Fail(DeadlineError(what));
    absl::SleepFor(absl::Microseconds(100));
  }
}

ncclResult_t NcclLink::StateOf(int communicator) {
  absl::MutexLock lock(&mutex_);
  const ncclComm_t comm = communicators_[communicator];
  if (comm == nullptr) return ncclInProgress;
  ncclResult_t state = ncclInternalError;
  const ncclResult_t asked = ncclCommGetAsyncError(comm, &state);
  return asked == ncclSuccess ? state : asked;
}

absl::Status NcclLink::Error(ncclResult_t result, int communicator, const char* what) {
  absl::MutexLock lock(&mutex_);
  const char* detail = ncclGetLastError(communicators_[communicator]);
  return absl::UnavailableError(absl::StrCat("rank ", rank_, " while ", what,
                                             ": NCCL: ", ncclGetErrorString(result), " (",
                                             detail == nullptr ? "no more is known" : detail, ")"));
}

absl::Status NcclLink::DeadlineError(const char* what) const {
  std::string message = absl::StrCat("rank ", rank_, " waited in vain while ", what);
  const std::vector<int> missing = host_ == nullptr ? std::vector<int>() : host_->Missing();
  if (missing.empty()) {
    absl::StrAppend(&message, " for ranks that have not come as far");
  } else {
    absl::StrAppend(&message, " for rank ", absl::StrJoin(missing, ", "));
  }
  return absl::DeadlineExceededError(message);
}

absl::Status NcclLink::Fail(const absl::Status& failure) {
  CHECK(!failure.ok());
  absl::MutexLock lock(&failure_mutex_);
  if (failure_.ok()) {
    failure_ = failure;
    failed_ = true;
    if (abort_word_ != nullptr) std::atomic_ref<uint32_t>(*abort_word_).store(1);
    if (host_ != nullptr) host_->Abort(std::string(failure.message()));
  }
  return failure_;
}

absl::Status NcclLink::status() const {
  if (!failed_) return absl::OkStatus();
  absl::MutexLock lock(&failure_mutex_);
  return failure_;
}

void NcclLink::Watch() {
  while (!closing_.WaitForNotificationWithTimeout(kLookEvery)) {
    if (const absl::Status seen = Look(); !seen.ok()) Fail(seen).IgnoreError();
    if (failed_) break;
  }
  if (failed_) AbortAll();
  watched_.Notify();
}

absl::Status NcclLink::Look() {
  if (stop_ != nullptr && *stop_) {
    return absl::CancelledError(absl::StrCat("rank ", rank_, " was told to stop"));
  }
  if (host_ != nullptr) {
    RETURN_IF_ERROR(host_->status());
    RETURN_IF_ERROR(host_->CheckPeers());
  }
  size_t count = 0;
  {
    absl::MutexLock lock(&mutex_);
    count = communicators_.size();
  }
  for (size_t i = 0; i < count; ++i) {
    const ncclResult_t state = StateOf(static_cast<int>(i));
    if (state != ncclSuccess && state != ncclInProgress) {
      return Error(state, static_cast<int>(i), "communicating");
    }
  }
  return absl::OkStatus();
}

// Each abort ends its own communicator's kernels at once, then may wait for those of the others (it
// frees memory) and for graphs that hold its operations: so all are begun before any is awaited.
void NcclLink::AbortAll() {
  std::vector<ncclComm_t> ended;
  {
    absl::MutexLock lock(&mutex_);
    for (ncclComm_t& comm : communicators_) ended.push_back(std::exchange(comm, nullptr));
  }
  std::vector<std::thread> aborts;
  for (ncclComm_t comm : ended) {
    if (comm == nullptr) continue;
    aborts.emplace_back([device = device_, comm] {
      cudaSetDevice(device);
      ncclCommAbort(comm);
    });
  }
  for (std::thread& abort : aborts) abort.join();
}

// True when NCCL has flushed and freed everything, which takes the peers to do the same.
bool NcclLink::FinishAll() {
  const absl::Time deadline = absl::Now() + kFinishTimeout;
  size_t count = 0;
  {
    absl::MutexLock lock(&mutex_);
    count = communicators_.size();
  }
  for (size_t i = count; i-- > 0;) {
    if (!Issue(static_cast<int>(i), "leaving the group", deadline, ncclCommFinalize).ok()) {
      return false;
    }
  }
  std::vector<ncclComm_t> finished;
  {
    absl::MutexLock lock(&mutex_);
    for (ncclComm_t& comm : communicators_) finished.push_back(std::exchange(comm, nullptr));
  }
  for (ncclComm_t comm : finished) ncclCommDestroy(comm);  // waits for the device: not locked
  return true;
}

void NcclLink::Close() {
  if (!failed_) FinishAll();
  closing_.Notify();
  if (watched_.WaitForNotificationWithTimeout(kAbortTimeout)) {
    watcher_.join();
    return;
  }
  std::fprintf(stderr, "rank %d: NCCL has not returned from an abort after %s\n", rank_,
               absl::FormatDuration(kAbortTimeout).c_str());
  watcher_.detach();
}

}  // namespace regatta
