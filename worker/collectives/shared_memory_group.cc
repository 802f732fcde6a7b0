// Segment layout, joining, liveness and waiting; see shared_memory_group.h.
#include "worker/collectives/shared_memory_group.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "worker/collectives/futex.h"

namespace regatta {
namespace {

constexpr uint64_t kMagic = 0x5245474154544131;  // "REGATTA1"
constexpr absl::Duration kSlice = absl::Milliseconds(50);
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;  // a mapped page cannot vanish

enum AbortState : uint32_t { kNotAborted, kWritingReason, kAborted };

struct alignas(64) RankState {
  std::atomic<uint32_t> joined;
  std::atomic<uint32_t> parted;
  std::atomic<uint32_t> arrived[kCommunicatorsPerRank];
  Barrier barriers[kCommunicatorsPerRank];
};

using Steady = std::chrono::steady_clock;

absl::Status SystemError(const char* what) {
  return absl::ResourceExhaustedError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// Non-blocking write lock on one byte, owned by the open file: true when taken.
bool LockByte(int fd, int offset) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

struct SegmentId {
  int pid = 0;
  int fd = 0;
  uint64_t nonce = 0;
};

// "shm:<pid>:<fd>:<nonce>": digits only, so that an id from the network can name no other file.
absl::StatusOr<SegmentId> ParseSegmentId(const std::string& id) {
  const std::vector<std::string> parts = absl::StrSplit(id, ':');
  SegmentId parsed;
  if (parts.size() == 4 && parts[0] == "shm" && absl::SimpleAtoi(parts[1], &parsed.pid) &&
      absl::SimpleAtoi(parts[2], &parsed.fd) && absl::SimpleAtoi(parts[3], &parsed.nonce) &&
      parsed.pid > 0 && parsed.fd >= 0) {
    return parsed;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("communicator id '", id.substr(0, 64), "' is not one of a CPU group"));
}

}  // namespace

// The head of the mapping; staging areas and rings follow. Zeroed memory is a valid initial state
// of everything but the first fields.
struct SharedMemoryGroup::Segment {
  uint64_t magic;
  uint64_t nonce;
  uint32_t world_size;
  std::atomic<uint32_t> num_joined;  // futex word of joining ranks
  std::atomic<uint32_t> abort_state;
  char abort_reason[512];
  RankState ranks[kMaxSharedMemoryRanks];

  static size_t StagesOffset() { return (sizeof(Segment) + 4095) / 4096 * 4096; }
  static size_t RingsOffset(int world_size) {
    return StagesOffset() + size_t{2} * kStageBytes * kCommunicatorsPerRank * world_size;
  }
  static size_t NumBytes(int world_size) {
    return RingsOffset(world_size) + sizeof(Ring) * kNumChannels * world_size * world_size;
  }
};

absl::StatusOr<std::unique_ptr<SharedMemoryOffer>> SharedMemoryOffer::Create(int world_size) {
  if (world_size < 1 || world_size > kMaxSharedMemoryRanks) {
    return absl::InvalidArgumentError(absl::StrCat("a CPU group of ", world_size,
                                                   " ranks: must be 1 to ", kMaxSharedMemoryRanks));
  }
  const int fd = memfd_create("regatta-group", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return SystemError("memfd_create");
  const uint64_t nonce = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  std::unique_ptr<SharedMemoryOffer> offer(
      new SharedMemoryOffer(fd, absl::StrCat("shm:", getpid(), ":", fd, ":", nonce)));
  // Sparse: pages cost memory only once a message has passed through them.
  if (ftruncate(fd, SharedMemoryGroup::NumBytes(world_size)) != 0) return SystemError("ftruncate");
  if (fcntl(fd, F_ADD_SEALS, kSeals) != 0) return SystemError("seal");
  const uint64_t head[2] = {kMagic, nonce};
  const uint32_t size = static_cast<uint32_t>(world_size);
  if (pwrite(fd, head, sizeof(head), 0) != sizeof(head) ||
      pwrite(fd, &size, sizeof(size), sizeof(head)) != sizeof(size)) {
    return SystemError("write to the segment");
  }
  return offer;
}

SharedMemoryOffer::~SharedMemoryOffer() { close(fd_); }

size_t SharedMemoryGroup::NumBytes(int world_size) { return Segment::NumBytes(world_size); }

absl::StatusOr<std::shared_ptr<SharedMemoryGroup>> SharedMemoryGroup::Join(
    const std::string& id, int rank, absl::Duration timeout, const std::atomic<bool>* stop) {
  ASSIGN_OR_RETURN(std::shared_ptr<SharedMemoryGroup> group, Enter(id, rank, stop));
  RETURN_IF_ERROR(group->AwaitAll(timeout));
  return group;
}

absl::StatusOr<std::shared_ptr<SharedMemoryGroup>> SharedMemoryGroup::Enter(
    const std::string& id, int rank, const std::atomic<bool>* stop) {
  ASSIGN_OR_RETURN(const SegmentId parsed, ParseSegmentId(id));
  const auto not_here = [&id](const char* why) {
    return absl::InvalidArgumentError(absl::StrCat("communicator id '", id, "': ", why));
  };
  // Opening anew, rather than sharing a descriptor, gives every rank locks of its own.
  const std::string path = absl::StrCat("/proc/", parsed.pid, "/fd/", parsed.fd);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return not_here("its segment is gone, or on another host");
  struct stat info = {};
  void* memory = MAP_FAILED;
  if (fstat(fd, &info) == 0 && fcntl(fd, F_GET_SEALS) == kSeals) {
    memory = mmap(nullptr, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (memory == MAP_FAILED) {
    close(fd);
    return not_here("names no group segment");
  }
  auto* segment = static_cast<Segment*>(memory);
  std::shared_ptr<SharedMemoryGroup> group(
      new SharedMemoryGroup(fd, segment, info.st_size, rank, stop));
  if (group->num_bytes_ < sizeof(Segment) || segment->magic != kMagic ||
      segment->nonce != parsed.nonce || segment->world_size > kMaxSharedMemoryRanks ||
      group->num_bytes_ != Segment::NumBytes(segment->world_size)) {
    return not_here("names another group's segment");
  }
  RETURN_IF_ERROR(group->TakeRank());
  return group;
}

absl::Status SharedMemoryGroup::TakeRank() {
  const uint32_t world = segment_->world_size;
  if (rank_ < 0 || rank_ >= static_cast<int>(world)) {
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank_, " of a group of ", world));
  }
  RankState& self = segment_->ranks[rank_];
  if (!LockByte(fd_, rank_) || self.joined.exchange(1) != 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("rank ", rank_, " has joined this group before; prepare a new group"));
  }
  segment_->num_joined.fetch_add(1, std::memory_order_release);
  FutexWake(segment_->num_joined);
  return absl::OkStatus();
}

absl::Status SharedMemoryGroup::AwaitAll(absl::Duration timeout) {
  const uint32_t world = segment_->world_size;
  return Wait(
      segment_->num_joined, [world](uint32_t joined) { return joined == world; },
      [this](int rank) { return !Joined(rank); }, timeout, "joining the group");
}

bool SharedMemoryGroup::Joined(int rank) const {
  return segment_->ranks[rank].joined.load(std::memory_order_acquire) != 0;
}

std::vector<int> SharedMemoryGroup::Missing() const {
  std::vector<int> missing;
  for (int rank = 0; rank < world_size(); ++rank) {
    if (!Joined(rank)) missing.push_back(rank);
  }
  return missing;
}

absl::Status SharedMemoryGroup::CheckPeers() const {
  for (int rank = 0; rank < world_size(); ++rank) {
    if (rank == rank_ || !Joined(rank) || Alive(rank)) continue;
    return absl::UnavailableError(
        absl::StrCat("rank ", rank, " has died or left the group (seen by rank ", rank_, ")"));
  }
  return absl::OkStatus();
}

bool SharedMemoryGroup::Part(absl::Duration timeout) {
  segment_->ranks[rank_].parted.store(1, std::memory_order_release);
  const auto holds = [this](int rank) {
    return Joined(rank) && segment_->ranks[rank].parted.load(std::memory_order_acquire) == 0 &&
           Alive(rank);
  };
  const Steady::time_point deadline = Steady::now() + absl::ToChronoNanoseconds(timeout);
  for (int rank = 0; rank < world_size(); ++rank) {
    while (holds(rank)) {
      if (Steady::now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
  return true;
}

SharedMemoryGroup::~SharedMemoryGroup() {
  munmap(segment_, num_bytes_);
  close(fd_);
}

int SharedMemoryGroup::world_size() const { return static_cast<int>(segment_->world_size); }

bool SharedMemoryGroup::Alive(int rank) const {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return fcntl(fd_, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

absl::Status SharedMemoryGroup::Wait(const std::atomic<uint32_t>& word,
                                     absl::FunctionRef<bool(uint32_t)> done,
                                     absl::FunctionRef<bool(int)> owes, absl::Duration timeout,
                                     const char* what) {
  uint32_t seen = word.load(std::memory_order_acquire);
  if (done(seen)) return absl::OkStatus();
  const Steady::time_point deadline = Steady::now() + absl::ToChronoNanoseconds(timeout);
  while (true) {
    const auto left = absl::FromChrono(deadline - Steady::now());
    FutexWait(word, seen, std::clamp(left, absl::ZeroDuration(), kSlice));
    const uint32_t before = seen;
    seen = word.load(std::memory_order_acquire);
    if (done(seen)) return absl::OkStatus();
    RETURN_IF_ERROR(status());
    if (stop_ != nullptr && *stop_) {
      return absl::CancelledError(absl::StrCat("rank ", rank_, " was told to stop while ", what));
    }
    if (seen != before && left > absl::ZeroDuration()) continue;
    std::vector<int> missing;
    for (int rank = 0; rank < world_size(); ++rank) {
      if (rank == rank_ || !owes(rank)) continue;
      missing.push_back(rank);
      // It may have done its part and left since; then the word has changed and the next look sees
      // it.
      if (Joined(rank) && !Alive(rank) && !done(word.load(std::memory_order_acquire))) {
        return absl::UnavailableError(absl::StrCat("rank ", rank,
                                                   " has died or left the group (seen by rank ",
                                                   rank_, " while ", what, ")"));
      }
    }
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("rank ", rank_, " waited ", absl::FormatDuration(timeout), " while ", what,
                       " for rank ", absl::StrJoin(missing, ", ")));
    }
  }
}

void SharedMemoryGroup::Abort(const std::string& reason) {
  uint32_t expected = kNotAborted;
  if (!segment_->abort_state.compare_exchange_strong(expected, kWritingReason)) return;
  std::snprintf(segment_->abort_reason, sizeof(segment_->abort_reason), "%s", reason.c_str());
  segment_->abort_state.store(kAborted, std::memory_order_release);
}

// A reason that is being written counts once it is there; should its writer die, so do its locks.
absl::Status SharedMemoryGroup::status() const {
  if (segment_->abort_state.load(std::memory_order_acquire) != kAborted) return absl::OkStatus();
  return absl::UnavailableError(segment_->abort_reason);
}

Barrier& SharedMemoryGroup::barrier(int first_rank, int slot) const {
  return segment_->ranks[first_rank].barriers[slot];
}

std::atomic<uint32_t>& SharedMemoryGroup::arrived(int rank, int slot) const {
  return segment_->ranks[rank].arrived[slot];
}

char* SharedMemoryGroup::stage(int rank, int slot, int half) const {
  const size_t index = (static_cast<size_t>(rank) * kCommunicatorsPerRank + slot) * 2 + half;
  return reinterpret_cast<char*>(segment_) + Segment::StagesOffset() + index * kStageBytes;
}

Ring& SharedMemoryGroup::ring(int from, int to, int channel) const {
  const int world = world_size();
  CHECK(from >= 0 && from < world && to >= 0 && to < world);
  CHECK(channel >= 0 && channel < kNumChannels);
  auto* rings =
      reinterpret_cast<Ring*>(reinterpret_cast<char*>(segment_) + Segment::RingsOffset(world));
  return rings[(static_cast<size_t>(from) * world + to) * kNumChannels + channel];
}

}  // namespace regatta
