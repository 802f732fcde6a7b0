// The shared memory of a group of CPU ranks on one host: who has joined, who is alive, who gave up,
// and waiting with a deadline. Knows no collective; shared_memory_communicator.cc builds those on
// the staging areas and rings that this class hands out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/collectives/rank_group.h"

namespace regatta {

inline constexpr int kMaxSharedMemoryRanks = 64;
inline constexpr int kCommunicatorsPerRank = 4;   // that one rank may be a member of
inline constexpr size_t kStageBytes = 256 << 10;  // a collective moves in pieces of this size
inline constexpr uint32_t kRingPieces = 64;       // a power of two: positions wrap around at 2^32
inline constexpr size_t kRingPieceBytes =
    64 << 10;  // unreceived messages of up to this size per pair and channel: kRingPieces

// The creator's hold on a group's segment: an anonymous memory file, which the small /dev/shm of a
// container does not bound and which cannot outlive the processes that use it. Ranks can join while
// the offer lives; once all have joined it may go.
class SharedMemoryOffer final : public GroupOffer {
 public:
  // RESOURCE_EXHAUSTED when the system refuses; INVALID_ARGUMENT for a size outside 1 ..
  // kMaxSharedMemoryRanks.
  static absl::StatusOr<std::unique_ptr<SharedMemoryOffer>> Create(int world_size);
  ~SharedMemoryOffer() override;
  // For processes of this host.
  const std::string& id() const override { return id_; }

 private:
  SharedMemoryOffer(int fd, std::string id) : fd_(fd), id_(std::move(id)) {}
  const int fd_;
  const std::string id_;
};

// State of one communicator's barrier; lives with its first member.
struct alignas(64) Barrier {
  std::atomic<uint64_t> signature;   // members and their stride, to catch ranks that disagree
  std::atomic<uint64_t> arrivals;    // over all rounds
  std::atomic<uint32_t> generation;  // rounds completed; futex word
};

// Messages of one ordered pair of ranks on one channel. Single producer, single consumer.
struct Ring {
  struct Piece {
    uint64_t message_bytes;  // of the whole message, for both sides to agree
    alignas(64) char data[kRingPieceBytes];
  };
  alignas(64) std::atomic<uint32_t> head;  // pieces sent; futex word of the receiver
  alignas(64) std::atomic<uint32_t> tail;  // pieces received; futex word of the sender
  Piece pieces[kRingPieces];
};

class SharedMemoryGroup final : public RankGroup,
                                public std::enable_shared_from_this<SharedMemoryGroup> {
 public:
  // Joins the group `id` as `rank` and waits for all ranks: DEADLINE_EXCEEDED names the missing
  // ones. INVALID_ARGUMENT: not an id of this host's; ALREADY_EXISTS: the rank is taken. `stop` may
  // be null; when it becomes true, now or later, waits end with CANCELLED.
  static absl::StatusOr<std::shared_ptr<SharedMemoryGroup>> Join(const std::string& id, int rank,
                                                                 absl::Duration timeout,
                                                                 const std::atomic<bool>* stop);
  // The same without waiting for the others.
  static absl::StatusOr<std::shared_ptr<SharedMemoryGroup>> Enter(const std::string& id, int rank,
                                                                  const std::atomic<bool>* stop);
  ~SharedMemoryGroup() override;
  SharedMemoryGroup(const SharedMemoryGroup&) = delete;

  int rank() const override { return rank_; }
  int world_size() const override;
  // At most kCommunicatorsPerRank for a rank.
  absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(int first, int stride, int count,
                                                                 size_t beside_bytes) override;

  // Sleeps until done(word). Every 50 ms, and at the deadline, looks whether the group was aborted,
  // the owner stopped, or a rank that `owes` this wait has died; the error names it. `what` is for
  // messages.
  absl::Status Wait(const std::atomic<uint32_t>& word, absl::FunctionRef<bool(uint32_t)> done,
                    absl::FunctionRef<bool(int)> owes, absl::Duration timeout, const char* what);

  // The first caller's reason reaches every rank; later ones are dropped.
  void Abort(const std::string& reason) override;
  // UNAVAILABLE with the reason once somebody aborted.
  absl::Status status() const override;
  // Ranks that have not entered yet.
  std::vector<int> Missing() const;
  // UNAVAILABLE names a rank that entered and has died or left since.
  absl::Status CheckPeers() const;
  // Says that this rank uses nothing of the others any more, and waits until every rank that
  // entered has said so or is gone. False at the deadline. Works after an abort too.
  bool Part(absl::Duration timeout);

  // The parts of the segment that communicators work with. `slot` numbers the communicators of a
  // rank.
  Barrier& barrier(int first_rank, int slot) const;
  std::atomic<uint32_t>& arrived(int rank, int slot) const;  // rounds this rank has arrived at
  char* stage(int rank, int slot, int half) const;           // kStageBytes, two halves used in turn
  Ring& ring(int from, int to, int channel) const;
  // The next communicator slot of this rank, or kCommunicatorsPerRank when there is none left.
  int TakeSlot() { return next_slot_ < kCommunicatorsPerRank ? next_slot_++ : next_slot_; }

 private:
  friend class SharedMemoryOffer;
  struct Segment;
  static size_t NumBytes(int world_size);
  SharedMemoryGroup(int fd, Segment* segment, size_t num_bytes, int rank,
                    const std::atomic<bool>* stop)
      : fd_(fd), segment_(segment), num_bytes_(num_bytes), rank_(rank), stop_(stop) {}
  absl::Status TakeRank();
  absl::Status AwaitAll(absl::Duration timeout);
  bool Joined(int rank) const;
  // A joined rank holds a file lock on its byte of the segment; the kernel drops it when the rank
  // leaves or dies, however it dies.
  bool Alive(int rank) const;

  const int fd_;
  Segment* const segment_;
  const size_t num_bytes_;
  const int rank_;
  const std::atomic<bool>* const stop_;
  int next_slot_ = 0;
};

// A communicator over the ranks first, first + stride, ... (`count` of them) of the group; this
// rank must be one of them. Every member makes its communicators in the same order, at most
// kCommunicatorsPerRank. `timeout` bounds each wait.
std::unique_ptr<Communicator> MakeSharedMemoryCommunicator(std::shared_ptr<SharedMemoryGroup> group,
                                                           int first, int stride, int count,
                                                           absl::Duration timeout);

}  // namespace regatta
