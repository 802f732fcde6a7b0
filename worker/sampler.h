// Sampler: logits to tokens and log-probabilities of a step's result, on the ranks of the last
// stage. Owns the penalty counts. All ranks of the stage draw alike; one of them reports.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "kernels/ops.h"
#include "proto/worker.pb.h"
#include "worker/batch.h"
#include "worker/model.h"
#include "worker/slot_table.h"

namespace regatta {

// What one step's draws will be reported as, once they are known. Reused from step to step.
struct PendingDraws {
  std::unique_ptr<Draws> draws;
  StepResult result;          // all but what is drawn
  std::vector<int> reported;  // for each of result.logprobs the draw it tells of, or -1
  SampleResult drawn;         // scratch

  // Adds the drawn tokens; the stream must have come past the draws.
  void Complete();
};

class Sampler {
 public:
  // `ops` must outlive the sampler. `max_rows` bounds the rows of logits asked for at once.
  Sampler(Ops& ops, int max_rows) : ops_(ops), max_rows_(max_rows) {}
  // Allocates counts for `penalty_rows` sequences. RESOURCE_EXHAUSTED when they do not fit.
  absl::Status Allocate(uint32_t penalty_rows, uint32_t vocab_size);

  // Counts the context of the plan's new sequences that have penalties.
  void Admit(const StepPlan& plan, const SlotTable& slots);
  // Draws from `logits` [N, V], one row per draw of `batch`; tokens go to drawn[slots[i]] on the
  // device and, with the log-probabilities asked for, to `pending`. With LOGITS_ALL also
  // log-probabilities of given tokens, for which it asks `model` for more rows, and waits.
  void Draw(const StepPlan& plan, const StepBatch& batch, const Tensor& logits,
            const int32_t* slots, int32_t* drawn, Model& model, PendingDraws& pending);

 private:
  void AddGivenLogprobs(const StepBatch& batch, int entry, Model& model, Logprobs& logprobs);

  Ops& ops_;
  const int max_rows_;
  Buffer prompt_counts_, output_counts_, device_rows_, device_ids_;
  PenaltyPool pool_;
  std::vector<int32_t> counts_;  // of one row, on the host
};

}  // namespace regatta
