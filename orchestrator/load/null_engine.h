// A pretended engine: every request's tokens appear at known times. It measures the measurer; it
// knows no transport and no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "proto/inference.pb.h"

namespace regatta {

// When messages are due, and irregularities that are drawn by (seed, tag, message), none by
// default.
struct NullTiming {
  int64_t ttft_ns = 0;      // from start to first token
  int64_t interval_ns = 0;  // between messages
  uint32_t tokens_per_message = 1;
  double jitter = 0;         // every wait is scaled by 1 - jitter .. 1 + jitter, uniformly
  uint32_t stall_every = 0;  // messages of a request after which the next comes later; 0 = none
  int64_t stall_ns = 0;      // by that much
  double slow_starts = 0;    // part of the requests whose first token takes ten times as long
  double early_ends = 0;     // part of the requests that end after half of their tokens
  uint64_t seed = 1;
  bool operator==(const NullTiming&) const = default;

  // Before message `index` (from 0) of request `tag`: after its start, or after the message before.
  int64_t WaitNs(uint64_t tag, uint32_t index) const;
  // Of `asked` tokens.
  uint32_t OutputTokens(uint64_t tag, uint32_t asked) const;
};

class NullEngine {
 public:
  explicit NullEngine(const NullTiming& timing) : timing_(timing) {}

  // Message k (from 0) of the request is due at now + the sum of WaitNs(tag, 0..k).
  void Start(uint64_t tag, const GenerateRequest& request, int64_t now_ns);
  // The last delta, with FINISH_REASON_CANCELLED, is due at once. Unknown tags are ignored.
  void Cancel(uint64_t tag, int64_t now_ns);

  // When the next delta is due; INT64_MAX when nothing runs.
  int64_t NextDueNs() const;
  // Emits up to `limit` deltas that are due by `now_ns`, in the order of their times.
  using Emit = std::function<void(uint64_t tag, const TokenDelta& delta)>;
  void Advance(int64_t now_ns, uint32_t limit, const Emit& emit);

  size_t running() const { return running_.size(); }

 private:
  struct Running {
    uint32_t prompt_tokens;
    uint32_t output_tokens;  // to generate
    uint32_t sent;
    uint32_t messages;
    int64_t started_ns;
    int64_t first_ns;  // when the first token was due
    bool cancelled;
  };
  struct Due {
    int64_t time_ns;
    uint64_t tag;
    bool operator>(const Due& other) const { return time_ns > other.time_ns; }
  };

  // Fills the next delta of a request; true when it is the last.
  bool MakeDelta(int64_t due_ns, Running& running);

  const NullTiming timing_;
  std::unordered_map<uint64_t, Running> running_;
  std::priority_queue<Due, std::vector<Due>, std::greater<Due>> due_;
  TokenDelta delta_;  // reused: no allocation per token
};

}  // namespace regatta
