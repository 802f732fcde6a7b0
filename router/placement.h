// Placement: which group takes which request, and when. Owns the requests that wait and knows where
// the others are. Pure: no clock, threads or I/O; groups are named by their epoch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "router/prefix_affinity.h"
#include "router/request.h"

namespace regatta {

struct PlacementOptions {
  uint32_t max_queue_size = 16384;  // waiting requests; more are RESOURCE_EXHAUSTED
  uint32_t block_size = 16;
  uint32_t affinity_slack_tokens =
      8192;  // by how much a group may be busier than the idlest and still take a prompt it knows
};

class Placement {
 public:
  explicit Placement(const PlacementOptions& options);

  // Takes a new request; on RESOURCE_EXHAUSTED it stays with the caller.
  absl::Status Enqueue(std::unique_ptr<Request>&& request);
  // Takes back a request that a group could not finish; it keeps its turn. The queue's bound does
  // not apply.
  void Return(std::unique_ptr<Request> request);

  // A group that may hold `capacity` sequences, waiting ones of its scheduler included.
  void AddGroup(uint64_t group, uint32_t capacity);
  // Its sequences are still counted until Return or Finished.
  void RemoveGroup(uint64_t group);
  size_t num_groups() const { return groups_.size(); }
  // The group takes nothing until Resume: it is out of breath, others are not.
  void Pause(uint64_t group);
  void Resume();

  struct Assignment {
    uint64_t group;
    std::unique_ptr<Request> request;
  };
  // The next request that a group has room for: by priority, then age; to the group that knows its
  // prefix unless that is much busier than the least loaded one.
  std::optional<Assignment> Next();

  void Finished(uint64_t id);

  // What Cancel found: a waiting request (now the caller's), the group that has it, or neither (it
  // ended).
  struct Cancelled {
    std::unique_ptr<Request> request;
    std::optional<uint64_t> group;
  };
  // Also marks a placed request, so that it is not placed again when its group hands it back (see
  // WasCancelled).
  Cancelled Cancel(uint64_t id);
  bool WasCancelled(uint64_t id) const;

  // Waiting requests whose queue deadline has passed, and ids of placed ones, which may not have
  // started. Each is named once.
  struct Expired {
    std::vector<std::unique_ptr<Request>> waiting;
    std::vector<std::pair<uint64_t, uint64_t>> placed;  // (group, id)
  };
  Expired TakeExpired(int64_t now_ns);
  // When the next queue deadline passes; nullopt without any.
  std::optional<int64_t> NextDeadline() const;

  std::vector<std::unique_ptr<Request>> TakeWaiting();

  // Every live request, waiting or placed.
  std::vector<uint64_t> LiveIds() const;
  size_t num_live() const { return live_.size(); }
  size_t num_waiting() const { return waiting_.size(); }
  // Longest prompt plus asked output of any live request.
  uint32_t LongestSequence() const;
  uint32_t LongestPrompt() const;

 private:
  struct Turn {
    int32_t negated_priority;
    uint64_t id;  // ids grow with arrival
    auto operator<=>(const Turn&) const = default;
  };
  struct Live {
    Turn turn;
    uint64_t group = 0;    // 0 = waiting
    uint32_t tokens = 0;   // what it adds to its group's load
    uint32_t prompt = 0;   // tokens
    uint32_t longest = 0;  // Request::longest
    int64_t deadline_ns = 0;
    bool cancelled = false;
  };
  struct Group {
    uint32_t capacity = 0;
    uint32_t sequences = 0;
    uint64_t load = 0;  // tokens
    bool paused = false;

    bool has_room() const { return sequences < capacity && !paused; }
  };
  std::unique_ptr<Request> TakeRequest(uint64_t id);
  void Unplace(Live& live);
  // Also forgets its deadline.
  void Forget(uint64_t id);
  std::optional<uint64_t> ChooseGroup(const Request& request) const;

  const PlacementOptions options_;
  PrefixAffinity affinity_;
  std::map<Turn, std::unique_ptr<Request>> waiting_;
  absl::flat_hash_map<uint64_t, Live> live_;
  std::map<uint64_t, Group> groups_;
  std::set<std::pair<int64_t, uint64_t>> deadlines_;  // (ns, id)
};

}  // namespace regatta
