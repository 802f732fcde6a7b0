// From deltas and ends to the record of each request. One client thread owns it; knows no target
// and computes no metric.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "orchestrator/load/recent_values.h"
#include "orchestrator/statistics/point_samples.h"
#include "orchestrator/workload/workload.h"
#include "proto/inference.pb.h"

namespace regatta {

// Milliseconds of requests as they come; for whoever watches, while the records are still growing.
struct RecentLatencies {
  RecentValues ttft;
  RecentValues tpot;
};

class RequestRecorder {
 public:
  // Times are RealClock's; records count from `start_ns`.
  explicit RequestRecorder(int64_t start_ns) : start_ns_(start_ns) {}

  struct Issue {
    uint32_t concurrency = 0;  // asked
    int64_t scheduled_ns = 0;
    int64_t ready_ns = 0;  // due, and a place was free
    int64_t sent_ns = 0;
  };
  // Slots count from 0 in order of their issue.
  uint32_t Add(const PlannedRequest& planned, const Issue& issue);

  enum class Verdict { kGoOn, kTooLong };
  // kTooLong: the server goes on behind the tokens that were asked for.
  Verdict TakeDelta(uint32_t slot, const TokenDelta& delta, int64_t received_ns);

  // Notes that the request is about to be cancelled; nothing when it was so before.
  void GiveUp(uint32_t slot, std::string why);  // it will count as failed
  void CancelOnPurpose(uint32_t slot);
  bool given_up(uint32_t slot) const { return slots_[slot].given_up; }

  // Why everything that ran was cancelled, if it was.
  enum class Ending { kNone, kInterrupted, kStalled };
  enum class Outcome { kCompleted, kFailed, kNeither };
  Outcome End(uint32_t slot, const absl::Status& status, Ending ending, absl::Duration stall,
              int64_t received_ns);

  // Of all members, this one may be read by other threads.
  const RecentLatencies& recent() const { return recent_; }

  bool ended(uint32_t slot) const { return slots_[slot].ended; }
  // When the last token came; 0 = none has.
  int64_t last_token_ns(uint32_t slot) const { return slots_[slot].last_token_ns; }
  const RequestRecord& record(uint32_t slot) const { return records_[slot]; }
  uint32_t size() const { return static_cast<uint32_t>(slots_.size()); }
  // Prompt and answer of a request that another turn follows; given away.
  Conversation TakeConversation(uint32_t slot) { return std::move(slots_[slot].conversation); }

  // Ends requests that did not even answer their cancellation and gives the records away but for
  // interrupted ones, which leave none. Nothing else may be called afterwards.
  PointSamples Take(Ending ending, absl::Duration stall);

 private:
  struct Slot {
    int64_t last_token_ns = 0;
    std::string text;           // kept only where an answer is to be compared
    Conversation conversation;  // kept only where another turn follows
    const DatasetEntry* entry = nullptr;
    bool check_answer = false;
    bool has_next = false;
    bool given_up = false;  // it alone was cancelled
    bool on_purpose = false;
    std::string why;  // it was given up, unless on purpose
    bool ended = false;
    bool interrupted = false;  // no record
  };

  void RecordTokens(const TokenDelta& delta, int64_t received_ns, Slot& slot,
                    RequestRecord& record);
  double Milliseconds(int64_t time_ns) const { return (time_ns - start_ns_) / 1e6; }

  const int64_t start_ns_;
  // Deques: growing them moves nothing, so it never holds up the client.
  std::deque<Slot> slots_;
  std::deque<RequestRecord> records_;  // by slot
  struct Gap {
    double ms;
    uint32_t tokens;  // of the later message
  };
  std::deque<Gap> gaps_;
  TokenTimeline tokens_;
  RecentLatencies recent_;
};

}  // namespace regatta
