// ClientThread: one thread of the load generator with a target of its own. It claims requests from
// the point's common cursor, sends them when they are due and gives its records away at the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "orchestrator/load/load_options.h"
#include "orchestrator/load/places.h"
#include "orchestrator/load/request_recorder.h"
#include "orchestrator/load/target.h"
#include "orchestrator/workload/workload.h"

namespace regatta {

// What the client threads of one point share.
struct SharedLoad {
  SharedLoad(const Batch& b, const LoadOptions& o, uint32_t n, int64_t now_ns)
      : batch(b), options(o), threads(n), start_ns(now_ns) {}

  const Batch& batch;
  const LoadOptions& options;
  const uint32_t threads;
  const int64_t start_ns;
  std::atomic<uint32_t> next_session{0};  // the cursor
  std::atomic<uint32_t> in_flight{0};
  std::atomic<uint32_t> peak_in_flight{0};
  std::atomic<RequestRecorder::Ending> ending{RequestRecorder::Ending::kNone};
};

// Written by one thread, read by others at any time.
struct alignas(64) ClientCounters {
  std::atomic<uint32_t> issued{0}, completed{0}, failed{0};
  std::atomic<uint64_t> output_tokens{0};
  std::atomic<int64_t> last_event_ns{0};
};

class ClientThread final : private TargetEvents {
 public:
  // Thread `number` of load.threads. Tags below `first_tag` are late events of earlier points.
  // `load` and `target` must outlive it.
  ClientThread(SharedLoad& load, uint32_t number, Target& target, uint64_t first_tag);

  // Until the point is over; on the thread that is to be the client.
  void Run();

  const ClientCounters& counters() const { return counters_; }
  const RecentLatencies& recent() const { return recorder_.recent(); }

  // After Run:
  PointSamples TakeSamples() {
    return recorder_.Take(load_.ending.load(), load_.options.stall_timeout);
  }
  uint64_t next_tag() const { return first_tag_ + recorder_.size(); }
  double longest_stall_ms() const { return longest_stall_ns_ / 1e6; }
  // Requests of the batch were left out because issuing stopped.
  bool dropped() const { return dropped_; }
  double busy() const { return busy_; }  // CPU time / wall time

 private:
  // A request taken from the cursor that is not due yet, or a further turn of a session.
  struct Claim {
    PlannedRequest planned;
    int64_t scheduled_ns = 0;
    int64_t ready_ns = 0;
  };
  struct Due {
    int64_t time_ns;
    uint32_t slot;
    bool operator>(const Due& other) const { return time_ns > other.time_ns; }
  };
  using DueQueue = std::priority_queue<Due, std::vector<Due>, std::greater<Due>>;

  void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) override;
  void OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) override;

  bool Finished(int64_t now_ns) const;
  void GrowPlaces(int64_t now_ns);
  // True when more is due: only so much is sent between two looks for tokens.
  bool IssueDue(int64_t now_ns);
  void IssueTurn();
  void ClaimNext();
  void Issue(const Claim& claim);
  void StopIssuing();
  void ScheduleCancellation(uint32_t slot, uint32_t index, int64_t sent_ns);
  void CancelDue(int64_t now_ns);
  void ObeyEnding(int64_t now_ns);
  void GiveUp(uint32_t slot, std::string why);
  void GiveUpStalled(int64_t now_ns);
  int64_t NextDueNs() const;
  void Wait(bool at_once);

  SharedLoad& load_;
  Target& target_;
  const uint64_t first_tag_;
  const uint32_t number_;
  RequestRecorder recorder_;
  Places places_;
  std::optional<Claim> claim_;
  bool issuing_ = true;
  bool exhausted_ = false;  // the cursor is
  bool dropped_ = false;
  uint32_t in_flight_ = 0;
  DueQueue next_turns_;       // when the turn after that of a slot is due
  DueQueue cancellations_;    // when a slot is to be cancelled on purpose
  uint32_t first_open_ = 0;   // slots before it have ended
  int64_t cancelled_ns_ = 0;  // when everything was cancelled; 0 = it was not
  int64_t last_poll_ns_ = 0;
  int64_t longest_stall_ns_ = 0;
  double busy_ = 0;
  ClientCounters counters_;
};

// Of `total` the part of thread `number` of `threads`; parts differ by one at most.
uint32_t ShareOf(uint32_t total, uint32_t number, uint32_t threads);

}  // namespace regatta
