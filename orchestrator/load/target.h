// What a load generator drives: something that takes requests and streams tokens back. One thread
// owns a target; its callbacks run inside Poll, so neither side needs locks.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "proto/inference.pb.h"

namespace regatta {

class TargetEvents {
 public:
  virtual ~TargetEvents() = default;
  // New tokens of request `tag`; `received_ns` is RealClock time when they reached this host, where
  // the transport tells, else when the message was taken off the wire.
  virtual void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) = 0;
  // Exactly once for every started request, after its last delta. OK when it ran to its end.
  virtual void OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) = 0;
};

class Target {
 public:
  virtual ~Target() = default;
  // Sends a request; `tag` must not be in use. Never waits and never fails: what goes wrong arrives
  // as OnEnd.
  virtual void Start(uint64_t tag, const GenerateRequest& request) = 0;
  // Asks for an early end of request `tag`; OnEnd still comes. Unknown tags are ignored.
  virtual void Cancel(uint64_t tag) = 0;
  // Delivers what has arrived, waiting for the first event until `deadline_ns` (RealClock).
  virtual void Poll(int64_t deadline_ns, TargetEvents& events) = 0;
};

}  // namespace regatta
