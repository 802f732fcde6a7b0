// Sampler: logits to tokens and log-probabilities of a step's result, on the ranks of the last
// stage. Owns the sample pool. All ranks of the stage draw alike; one of them reports.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
  // Allocates a pool for `sampling_rows` sequences. RESOURCE_EXHAUSTED when it does not fit.
  absl::Status Allocate(uint32_t sampling_rows, uint32_t vocab_size);
  // Host memory for one step's masks on their way to the device; empty without rows.
  // RESOURCE_EXHAUSTED when memory is.
  absl::StatusOr<Buffer> MakeMaskStaging() const;

  // Counts the context of the plan's new sequences that have penalties, and takes their biases.
  void Admit(const StepPlan& plan, const SlotTable& slots);
  // Takes the masks of a step's `count` draws that await them, as SampleInput has them, by way of
  // `staging`, which must rest until the stream has come that far. INVALID_ARGUMENT names a wrong
  // size.
  absl::Status PlaceMasks(const std::string& masks, int count, const Buffer& staging);
  // Draws from `logits` [N, V], one row per draw of `batch`; tokens go to drawn[slots[i]] on the
  // device and, with the log-probabilities asked for, to `pending`. With LOGITS_ALL also
  // log-probabilities of given tokens, for which it asks `model` for more rows, and waits.
  void Draw(const StepPlan& plan, const StepBatch& batch, const Tensor& logits,
            const int32_t* slots, int32_t* drawn, Model& model, PendingDraws& pending);

 private:
  void CountContext(const Admission& admission, int row);
  void PlaceBias(const SamplingParams& sampling, int row);
  // Log-probabilities behind scored rows [begin, end) of `batch`.
  void AddGivenLogprobs(const StepBatch& batch, int begin, int end, int num_top, Model& model,
                        Logprobs& logprobs);

  Ops& ops_;
  const int max_rows_;
  Buffer memory_;  // of the pool
  Buffer device_rows_, device_ids_;
  SamplePool pool_;
  std::vector<int32_t> counts_;  // of one row, on the host
  GivenLogprobs given_;          // scratch
};

}  // namespace regatta
