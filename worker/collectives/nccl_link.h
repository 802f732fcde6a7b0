// NcclLink: all NCCL communicators of one rank, and a thread that watches over them. Knows no
// collective; the owner brings the calls.
//
// NCCL works in the background (its non-blocking mode), so no call of ours waits without looking
// whether the group has failed. The first failure, wherever it is seen, is kept, told to the other
// ranks of this host, and ends every operation in progress.
#pragma once

#include <nccl.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "worker/collectives/shared_memory_group.h"

namespace regatta {

class NcclLink : public std::enable_shared_from_this<NcclLink> {
 public:
  using Call = absl::FunctionRef<ncclResult_t(ncclComm_t)>;

  // Starts the watching thread, which ends at Close. `host` is null away from the host of the
  // group's offer, `stop` may be null and is not read after Close.
  static std::shared_ptr<NcclLink> Start(int rank, int device,
                                         std::shared_ptr<SharedMemoryGroup> host,
                                         const std::atomic<bool>* stop);
  ~NcclLink();

  // Connects all ranks of a group. Returns the number of the communicator, for the calls below.
  absl::StatusOr<int> Connect(const ncclUniqueId& id, int world_size, absl::Time deadline);
  // A communicator of the ranks of `parent` that give the same color, in the order of their keys.
  // All ranks of `parent` must call. `max_blocks` bounds the multiprocessors it uses, 0 = NCCL's
  // choice.
  absl::StatusOr<int> Split(int parent, int color, int key, int max_blocks, absl::Time deadline);

  // Makes one call and waits until NCCL has issued it, which takes the peers when it is the first
  // of its kind. `what` is for messages. From one thread at a time.
  absl::Status Issue(int communicator, const char* what, absl::Time deadline, Call call)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The first failure counts, here and on the other ranks; returns it. Thread-safe.
  absl::Status Fail(const absl::Status& failure) ABSL_LOCKS_EXCLUDED(failure_mutex_);
  absl::Status status() const ABSL_LOCKS_EXCLUDED(failure_mutex_);

  // A word that kernels can read: 1 once the link has failed. Null when there was no memory.
  const uint32_t* abort_word() const { return abort_word_; }
  bool has_host() const { return host_ != nullptr; }

  // Ends everything, within seconds: gracefully when nothing has failed and the peers do the same.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // After Close: says that this rank touches no memory of its peers any more, and waits until all
  // have said so or are gone. False at the deadline.
  bool Part(absl::Duration timeout) { return host_ == nullptr || host_->Part(timeout); }

 private:
  NcclLink(int rank, int device, std::shared_ptr<SharedMemoryGroup> host,
           const std::atomic<bool>* stop);

  int AddSlot() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits while NCCL works on this communicator.
  absl::Status AwaitIssued(int communicator, const char* what, absl::Time deadline);
  ncclResult_t StateOf(int communicator) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Error(ncclResult_t result, int communicator, const char* what)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status DeadlineError(const char* what) const;

  void Watch();
  absl::Status Look() ABSL_LOCKS_EXCLUDED(mutex_);
  void AbortAll() ABSL_LOCKS_EXCLUDED(mutex_);
  bool FinishAll() ABSL_LOCKS_EXCLUDED(mutex_);

  const int rank_;
  const int device_;
  const std::shared_ptr<SharedMemoryGroup> host_;
  const std::atomic<bool>* const stop_;
  uint32_t* abort_word_ = nullptr;  // pinned host memory

  absl::Mutex mutex_;  // held over NCCL's calls, all of which return at once
  // Null while it is being made and after it was ended. NCCL keeps the address of a slot, so they
  // must not move.
  std::deque<ncclComm_t> communicators_ ABSL_GUARDED_BY(mutex_);

  std::atomic<bool> failed_ = false;
  mutable absl::Mutex failure_mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(failure_mutex_);

  absl::Notification closing_;  // nothing is to be watched any more
  absl::Notification watched_;  // the thread is about to end
  std::thread watcher_;
};

}  // namespace regatta
