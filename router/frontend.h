// The seam between front ends (gRPC, HTTP) and the cluster: requests go down, deltas come up.
// Neither side ever blocks the other.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/inference.pb.h"

namespace regatta {

// Where the deltas of one client's requests go. Implemented by front ends; called from engine
// threads, so calls only enqueue. A request's last call is a delta with a finish reason, or Fail.
// Calls after the client has gone are ignored.
class DeltaStream {
 public:
  virtual ~DeltaStream() = default;
  // New tokens of the request that was submitted with `tag`.
  virtual void Push(uint64_t tag, TokenDelta delta) = 0;
  // The request ended without a result.
  virtual void Fail(uint64_t tag, const absl::Status& status) = 0;
  // A step's deltas have all been pushed: send them.
  virtual void Flush() = 0;
};

// What front ends submit to. Thread-safe; never waits for the cluster.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  // Takes one request; its id. Deltas go to `stream` under `tag`, possibly before this returns,
  // never from within. INVALID_ARGUMENT names field, value and limit; RESOURCE_EXHAUSTED: the queue
  // is full; UNAVAILABLE: draining, or nothing can serve.
  virtual absl::StatusOr<uint64_t> Submit(const GenerateRequest& request, uint64_t tag,
                                          std::shared_ptr<DeltaStream> stream) = 0;
  // Ends a request; its last delta says FINISH_REASON_CANCELLED. Unknown ids (already ended) are
  // ignored.
  virtual void Cancel(uint64_t id) = 0;
};

}  // namespace regatta
