// All ranks of a group as threads of the test, driven by plans as a router drives processes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/worker.pb.h"

namespace regatta {

struct GroupOptions {
  ModelSource model;
  Layout layout;
  uint32_t max_batch_size = 8;
  uint32_t max_num_tokens = 64;
  uint32_t max_seq_len = 256;
  uint32_t block_size = 16;
  uint32_t max_inflight = 2;
  uint32_t max_kv_blocks = 0;
  uint32_t penalty_rows = 2;
};

FormRequest ToFormRequest(const GroupOptions& options, uint32_t rank,
                          const std::string& communicator_id);

class ThreadedGroup {
 public:
  static absl::StatusOr<std::unique_ptr<ThreadedGroup>> Form(const GroupOptions& options);
  // Waits for the ranks to finish what was dispatched.
  ~ThreadedGroup();

  const GroupOptions& options() const;
  const Formed& formed() const;
  void Dispatch(const StepPlan& plan);
  // The next result in step order, of the rank that samples; all ranks must agree on id and hash.
  // The error of the first rank that failed otherwise.
  absl::StatusOr<StepResult> Next(absl::Duration timeout = absl::Seconds(60));

 private:
  class Impl;
  explicit ThreadedGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
