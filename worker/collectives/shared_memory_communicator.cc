// Collectives and messages between CPU ranks over a SharedMemoryGroup.
//
// A collective moves in pieces: every member copies its part into its own staging area, a barrier
// makes all parts visible, and each member reads what it needs. Two halves are used in turn, so one
// barrier per piece is enough: whoever fills a half again has passed the next piece's barrier, at
// which all had finished reading this one.
#include <algorithm>
#include <cstring>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "kernels/dtype.h"
#include "worker/collectives/futex.h"
#include "worker/collectives/shared_memory_group.h"

namespace regatta {
namespace {

// Up to this size every member sums everything itself (one barrier); above, each sums its slice and
// the slices are gathered (two barriers, less reading). Both sum in rank order: the same bits.
constexpr size_t kOneShotBytes = 16 << 10;
constexpr int64_t kSumBlock = 1024;

class SharedMemoryCommunicator final : public Communicator {
 public:
  SharedMemoryCommunicator(std::shared_ptr<SharedMemoryGroup> group, int first, int stride,
                           int count, absl::Duration timeout)
      : group_(std::move(group)),
        first_(first),
        stride_(stride),
        count_(count),
        timeout_(timeout),
        rank_((group_->rank() - first) / stride),
        slot_(group_->TakeSlot()) {
    CHECK(first >= 0 && stride >= 1 && count >= 1);
    CHECK(rank_ < count && WorldRank(rank_) == group_->rank());
    CHECK_LT(WorldRank(count - 1), group_->world_size());
    CHECK_LT(slot_, kCommunicatorsPerRank);
    CheckSignature();
  }

  int size() const override { return count_; }
  int rank() const override { return rank_; }
  void AllReduceSum(const Tensor& x) override;
  void AllGather(const Tensor& x, const Tensor& out) override;
  void ReduceScatter(const Tensor& x, const Tensor& out) override;
  void Broadcast(const Tensor& x, int root) override;
  void Send(const Tensor& x, int peer, int channel) override;
  void Recv(const Tensor& x, int peer, int channel) override;

  absl::Status status() const override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return status_.ok() ? group_->status() : status_;
  }
  void Abort(const std::string& reason) override { group_->Abort(reason); }

 private:
  int WorldRank(int member) const { return first_ + member * stride_; }
  void CheckSignature();
  bool failed() const { return failed_ || !group_->status().ok(); }
  void Fail(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  // Copies into this member's staging area of the current piece; `offset` bytes in.
  void Stage(const void* data, size_t num_bytes) { std::memcpy(Staged(rank_), data, num_bytes); }
  char* Staged(int member) const { return group_->stage(WorldRank(member), slot_, half_); }
  // Waits until all members have arrived as often as this one. False after a failure.
  bool Arrive(const char* what);
  // Elements [begin, begin + count) of all members' staged pieces, summed in rank order.
  template <typename T>
  void SumStaged(int64_t begin, int64_t count, T* out) const;
  template <typename T>
  bool AllReducePiece(T* x, int64_t count);
  // Calls piece(offset, bytes) over a message of `num_bytes`, at least once, until it fails.
  template <typename Fn>
  void ForEachPiece(size_t num_bytes, const Fn& piece);

  const std::shared_ptr<SharedMemoryGroup> group_;
  const int first_, stride_, count_;
  const absl::Duration timeout_;
  const int rank_;
  const int slot_;
  uint32_t rounds_ = 0;  // barriers passed
  int half_ = 0;
  std::atomic<bool> failed_ = false;
  mutable absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

void SharedMemoryCommunicator::CheckSignature() {
  const uint64_t mine = (uint64_t(first_ + 1) << 32) | (uint64_t(stride_) << 16) | count_;
  uint64_t seen = 0;
  Barrier& barrier = group_->barrier(first_, slot_);
  if (!barrier.signature.compare_exchange_strong(seen, mine) && seen != mine) {
    Fail(absl::InternalError(absl::StrCat("rank ", group_->rank(), " made communicator ", slot_,
                                          " of other ranks than its peers")));
  }
}

void SharedMemoryCommunicator::Fail(const absl::Status& status) {
  failed_ = true;
  group_->Abort(std::string(status.message()));
  absl::MutexLock lock(&mutex_);
  if (status_.ok()) status_ = status;
}

bool SharedMemoryCommunicator::Arrive(const char* what) {
  if (failed()) return false;
  const uint32_t round = ++rounds_;
  Barrier& barrier = group_->barrier(first_, slot_);
  group_->arrived(group_->rank(), slot_).store(round, std::memory_order_release);
  // The additions form a release sequence: the last arrival has seen, and passes on, all members'
  // writes.
  const uint64_t arrivals = barrier.arrivals.fetch_add(1, std::memory_order_acq_rel) + 1;
  if (arrivals % count_ == 0) {
    barrier.generation.store(round, std::memory_order_release);
    FutexWake(barrier.generation);
    return true;
  }
  const auto owes = [&](int world_rank) {
    const int offset = world_rank - first_;
    return offset >= 0 && offset % stride_ == 0 && offset / stride_ < count_ &&
           group_->arrived(world_rank, slot_).load(std::memory_order_acquire) != round;
  };
  const absl::Status status = group_->Wait(
      barrier.generation, [round](uint32_t generation) { return generation == round; }, owes,
      timeout_, what);
  if (!status.ok()) Fail(status);
  return status.ok();
}

template <typename Fn>
void SharedMemoryCommunicator::ForEachPiece(size_t num_bytes, const Fn& piece) {
  for (size_t offset = 0; offset < num_bytes; offset += kStageBytes) {
    if (!piece(offset, std::min(kStageBytes, num_bytes - offset))) return;
    half_ ^= 1;
  }
}

template <typename T>
void SharedMemoryCommunicator::SumStaged(int64_t begin, int64_t count, T* out) const {
  float sum[kSumBlock];
  for (int64_t block = 0; block < count; block += kSumBlock) {
    const int64_t n = std::min(kSumBlock, count - block);
    std::fill(sum, sum + n, 0.0f);
    for (int member = 0; member < count_; ++member) {
      const T* part = reinterpret_cast<const T*>(Staged(member)) + begin + block;
      for (int64_t i = 0; i < n; ++i) sum[i] += ToFloat(part[i]);
    }
    for (int64_t i = 0; i < n; ++i) out[block + i] = FromFloat<T>(sum[i]);
  }
}

template <typename T>
bool SharedMemoryCommunicator::AllReducePiece(T* x, int64_t count) {
  Stage(x, count * sizeof(T));
  if (!Arrive("all-reducing")) return false;
  if (count * sizeof(T) <= kOneShotBytes) {
    SumStaged(0, count, x);
    return true;
  }
  const auto slice = [&](int member) { return count * member / count_; };
  // Nobody else reads or writes this slice of this member's area.
  T* own = reinterpret_cast<T*>(Staged(rank_)) + slice(rank_);
  SumStaged(slice(rank_), slice(rank_ + 1) - slice(rank_), own);
  if (!Arrive("all-reducing")) return false;
  for (int member = 0; member < count_; ++member) {
    const T* part = reinterpret_cast<const T*>(Staged(member)) + slice(member);
    std::memcpy(x + slice(member), part, (slice(member + 1) - slice(member)) * sizeof(T));
  }
  return true;
}

void SharedMemoryCommunicator::AllReduceSum(const Tensor& x) {
  CHECK(x.dense());
  DispatchActivation(x.dtype, [&](auto type) {
    using T = decltype(type);
    ForEachPiece(x.num_bytes(), [&](size_t offset, size_t bytes) {
      return AllReducePiece(x.as<T>() + offset / sizeof(T), bytes / sizeof(T));
    });
  });
}

void SharedMemoryCommunicator::AllGather(const Tensor& x, const Tensor& out) {
  CHECK(x.dense() && out.dense());
  CHECK_EQ(out.num_bytes(), x.num_bytes() * count_);
  ForEachPiece(x.num_bytes(), [&](size_t offset, size_t bytes) {
    Stage(x.as<char>() + offset, bytes);
    if (!Arrive("all-gathering")) return false;
    for (int member = 0; member < count_; ++member) {
      std::memcpy(out.as<char>() + member * x.num_bytes() + offset, Staged(member), bytes);
    }
    return true;
  });
}

void SharedMemoryCommunicator::ReduceScatter(const Tensor& x, const Tensor& out) {
  CHECK(x.dense() && out.dense());
  CHECK_EQ(x.num_bytes(), out.num_bytes() * count_);
  CHECK(x.dtype == out.dtype);
  DispatchActivation(x.dtype, [&](auto type) {
    using T = decltype(type);
    for (int member = 0; member < count_; ++member) {
      const char* slice = x.as<char>() + member * out.num_bytes();
      ForEachPiece(out.num_bytes(), [&](size_t offset, size_t bytes) {
        Stage(slice + offset, bytes);
        if (!Arrive("reduce-scattering")) return false;
        if (member == rank_) {
          SumStaged(0, bytes / sizeof(T), out.as<T>() + offset / sizeof(T));
        }
        return true;
      });
    }
  });
}

void SharedMemoryCommunicator::Broadcast(const Tensor& x, int root) {
  CHECK(x.dense() && root >= 0 && root < count_);
  ForEachPiece(x.num_bytes(), [&](size_t offset, size_t bytes) {
    if (rank_ == root) Stage(x.as<char>() + offset, bytes);
    if (!Arrive("broadcasting")) return false;
    if (rank_ != root) std::memcpy(x.as<char>() + offset, Staged(root), bytes);
    return true;
  });
}

void SharedMemoryCommunicator::Send(const Tensor& x, int peer, int channel) {
  CHECK(x.dense() && peer != rank_);
  const int to = WorldRank(peer);
  Ring& ring = group_->ring(group_->rank(), to, channel);
  for (size_t offset = 0; offset < x.num_bytes() && !failed(); offset += kRingPieceBytes) {
    const uint32_t head = ring.head.load(std::memory_order_relaxed);  // only this side writes it
    const absl::Status status = group_->Wait(
        ring.tail, [head](uint32_t tail) { return head - tail < kRingPieces; },
        [to](int rank) { return rank == to; }, timeout_, "sending");
    if (!status.ok()) return Fail(status);
    Ring::Piece& piece = ring.pieces[head % kRingPieces];
    piece.message_bytes = x.num_bytes();
    std::memcpy(piece.data, x.as<char>() + offset,
                std::min(kRingPieceBytes, x.num_bytes() - offset));
    ring.head.store(head + 1, std::memory_order_release);
    FutexWake(ring.head);
  }
}

void SharedMemoryCommunicator::Recv(const Tensor& x, int peer, int channel) {
  CHECK(x.dense() && peer != rank_);
  const int from = WorldRank(peer);
  Ring& ring = group_->ring(from, group_->rank(), channel);
  for (size_t offset = 0; offset < x.num_bytes() && !failed(); offset += kRingPieceBytes) {
    const uint32_t tail = ring.tail.load(std::memory_order_relaxed);  // only this side writes it
    const absl::Status status = group_->Wait(
        ring.head, [tail](uint32_t head) { return head != tail; },
        [from](int rank) { return rank == from; }, timeout_, "receiving");
    if (!status.ok()) return Fail(status);
    const Ring::Piece& piece = ring.pieces[tail % kRingPieces];
    if (piece.message_bytes != x.num_bytes()) {
      return Fail(absl::InternalError(
          absl::StrCat("rank ", group_->rank(), " expected ", x.num_bytes(), " bytes from rank ",
                       from, " on channel ", channel, ", which sent ", piece.message_bytes)));
    }
    std::memcpy(x.as<char>() + offset, piece.data,
                std::min(kRingPieceBytes, x.num_bytes() - offset));
    ring.tail.store(tail + 1, std::memory_order_release);
    FutexWake(ring.tail);
  }
}

// A backstop: a peer's death is noticed within 100 ms, and a stall by the router long before this.
constexpr absl::Duration kCollectiveTimeout = absl::Minutes(5);

}  // namespace

// Threads of a CPU have nothing to do sums beside.
absl::StatusOr<std::unique_ptr<Communicator>> SharedMemoryGroup::MakeCommunicator(
    int first, int stride, int count, size_t /*beside_bytes*/) {
  return MakeSharedMemoryCommunicator(shared_from_this(), first, stride, count, kCollectiveTimeout);
}

std::unique_ptr<Communicator> MakeSharedMemoryCommunicator(std::shared_ptr<SharedMemoryGroup> group,
                                                           int first, int stride, int count,
                                                           absl::Duration timeout) {
  return std::make_unique<SharedMemoryCommunicator>(std::move(group), first, stride, count,
                                                    timeout);
}

}  // namespace regatta
