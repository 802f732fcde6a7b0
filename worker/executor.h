// Executor: StepPlan in, StepResult out. The only owner of device state: slots, block tables, KV
// cache, sampling state. One thread calls it. It trusts no plan: whatever disagrees with its own
// state is an error naming slot, value and limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/worker.pb.h"

namespace regatta {

class Executor {
 public:
  // Builds one rank: connects, loads the shard, sizes and allocates the KV cache (the minimum over
  // ranks). Reports progress. `stop` must outlive the executor; once true, waits for peers end with
  // CANCELLED. On error everything is given back and the other ranks are told why.
  // Errors: INVALID_ARGUMENT (request, layout, model), NOT_FOUND (model), DEADLINE_EXCEEDED (ranks
  // that did not come), RESOURCE_EXHAUSTED (memory), UNAVAILABLE (peer lost), CANCELLED.
  static absl::StatusOr<std::unique_ptr<Executor>> Form(
      const FormRequest& request, int num_threads, const std::atomic<bool>& stop,
      const std::function<void(const FormProgress&)>& progress);
  virtual ~Executor() = default;

  // Runs one plan (a serialised StepPlan). Returns the result on the rank that samples, a result
  // with step_id and hash only elsewhere. Errors: INVALID_ARGUMENT or FAILED_PRECONDITION (bad
  // plan), UNAVAILABLE or DEADLINE_EXCEEDED (peer lost), INTERNAL. The rank is unusable after one.
  virtual absl::StatusOr<StepResult> Run(const std::string& plan) = 0;

  // True on the rank whose results the router reads.
  virtual bool samples() const = 0;
  virtual const Formed& formed() const = 0;

  // Makes a Run in progress on any rank of the group return. Thread-safe.
  virtual void Abort(const std::string& reason) = 0;
};

}  // namespace regatta
