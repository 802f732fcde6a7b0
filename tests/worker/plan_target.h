// A group that runs plans, as tests see it: ranks in threads or in processes.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/worker.pb.h"

namespace regatta {

struct GroupOptions {
  ModelSource model;
  Layout layout;
  std::string device = "cpu";  // of ranks in threads; "cuda" gives each a GPU
  uint32_t max_batch_size = 8;
  uint32_t max_num_tokens = 64;
  uint32_t max_seq_len = 256;
  uint32_t block_size = 16;
  uint32_t max_inflight = 2;
  uint32_t max_kv_blocks = 0;
  uint32_t sampling_rows = 2;
  GraphOptions graphs;
};

FormRequest ToFormRequest(const GroupOptions& options, uint32_t rank,
                          const std::string& communicator_id);

class PlanTarget {
 public:
  virtual ~PlanTarget() = default;
  virtual const GroupOptions& options() const = 0;
  virtual const Formed& formed() const = 0;
  virtual void Dispatch(const StepPlan& plan) = 0;
  // What the sampling of one plan awaits.
  virtual void SendMasks(const SampleInput& input) = 0;
  // The next result in step order, of the rank that samples; all ranks must agree on id and hash.
  // Otherwise the error of the rank at fault, as far as can be told.
  virtual absl::StatusOr<StepResult> Next(absl::Duration timeout = absl::Seconds(60)) = 0;
};

}  // namespace regatta
