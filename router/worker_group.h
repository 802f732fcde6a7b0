// WorkerGroup: hides the ranks of one group from the engine loop. The same plan goes to every rank;
// results come from the one that samples.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "proto/worker.pb.h"

namespace regatta {

class WorkerGroup {
 public:
  // Called from a foreign thread once per plan, in step order. A non-OK status means the group is
  // fenced: it is the last call, names the rank and the cause, and comes within 500 ms of a rank's
  // death.
  using OnResult = std::function<void(absl::StatusOr<StepResult>)>;

  virtual ~WorkerGroup() = default;
  // Before the first Dispatch. `on_result` must not block.
  virtual void Start(OnResult on_result) = 0;
  // Sends a plan to every rank; never waits for the network. After fencing it does nothing.
  virtual void Dispatch(const StepPlan& plan) = 0;
  // Sends every rank the masks that a plan awaits; never waits for the network. Thread-safe; not
  // after Stop.
  virtual void SendMasks(SampleInput input) = 0;
  // The rank that is furthest behind and its newest step ids, for the message about a stuck step.
  // Thread-safe.
  virtual std::string Laggard() const = 0;
  // Ends the streams. No OnResult call is made after it returns.
  virtual void Stop() = 0;
};

}  // namespace regatta
