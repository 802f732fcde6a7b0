// Executor: StepPlan in, StepResult out. The only owner of device state: slots, block tables, KV
// cache, sampling state. It trusts no plan: whatever disagrees with its own state is an error
// naming slot, value and limit.
//
// Steps run ahead: Launch issues a step and returns while the device still works on earlier ones;
// Collect waits for the oldest. Nothing that a step needs passes through the host but masks of
// constrained decoding, for which the sampling of their step waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/worker.pb.h"
#include "worker/device.h"
#include "worker/sample_inputs.h"

namespace regatta {

class Executor {
 public:
  // Builds one rank: connects, loads the shard, sizes and allocates the KV cache (the minimum over
  // ranks), records graphs. Reports progress. `device` and `stop` must outlive the executor; once
  // `stop` is true, waits for peers end with CANCELLED. On error everything is given back and the
  // other ranks are told why.
  // Errors: INVALID_ARGUMENT (request, layout, model), NOT_FOUND (model), DEADLINE_EXCEEDED (ranks
  // that did not come), RESOURCE_EXHAUSTED (memory), UNAVAILABLE (peer lost), CANCELLED.
  static absl::StatusOr<std::unique_ptr<Executor>> Form(
      const FormRequest& request, Device& device, const std::atomic<bool>& stop,
      const std::function<void(const FormProgress&)>& progress);
  virtual ~Executor() = default;

  // Issues one plan (a serialised StepPlan) after those before it. Waits while max_inflight steps
  // are not collected and, having issued the forward pass, for the masks that the plan awaits. One
  // thread calls it. Errors: INVALID_ARGUMENT or FAILED_PRECONDITION (bad plan or masks),
  // UNAVAILABLE or DEADLINE_EXCEEDED (peer lost), CANCELLED or DEADLINE_EXCEEDED (no masks: names
  // step and slots), INTERNAL. The rank is unusable after one.
  virtual absl::Status Launch(const std::string& plan, SampleInputs& inputs) = 0;
  // Waits for the oldest step that was launched and not collected; there must be one. Its result on
  // the rank that samples, step_id and hash only elsewhere. May be called from another thread.
  // Errors as of Launch.
  virtual absl::StatusOr<StepResult> Collect() = 0;

  // True on the ranks that draw, all alike, and on the one of them whose results the router reads.
  virtual bool draws() const = 0;
  virtual bool samples() const = 0;
  virtual const Formed& formed() const = 0;

  // Makes a Launch or Collect in progress on any rank of the group return. Thread-safe.
  virtual void Abort(const std::string& reason) = 0;
};

}  // namespace regatta
