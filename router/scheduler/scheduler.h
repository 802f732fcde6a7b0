// Scheduler: continuous batching of one group as a pure value machine. No clock, random numbers,
// logging, locks or I/O: the same calls give the same bytes of plan. Prefill, chunk and decode
// differ only in token count; whatever memory a sequence holds it holds in blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "proto/inference.pb.h"
#include "proto/types.pb.h"
#include "proto/worker.pb.h"

namespace regatta {

struct SchedulerOptions {
  Limits limits;             // all three set; max_batch_size is the number of slots
  uint32_t block_size = 16;  // tokens per KV block
  uint32_t num_blocks = 0;
  uint32_t stages = 1;        // pp: decoding sequences are dealt into at least this many cohorts
  uint32_t max_inflight = 2;  // plans dispatched and not committed
  // Sequences with penalties, biases or a constraint that may hold a slot at once.
  uint32_t sampling_rows = 0;
  // What the masks of the sequences that decode in one step may be expected to cost together, in
  // the unit of NoteMaskWork: some 10 ms of a core. The costly ones take turns.
  uint64_t mask_work = 2'000'000;
  bool prefix_cache = true;
  // False: a prompt runs in one step, so it may not exceed max_num_tokens. Only what is recomputed
  // after a preemption or a failure, and has grown past max_num_tokens since, is chunked all the
  // same.
  bool chunked_prefill = true;
  bool pace_prompts = true;               // prompt_pace.h
  uint32_t expected_output_tokens = 256;  // of a sequence, until lengths have been observed
  uint64_t prefix_cache_secret =
      0;  // keys the cache's hash; random in production, so that nobody can construct a false hit
};

// INVALID_ARGUMENT names the first option that is zero but must not be, or over its range.
absl::Status ValidateOptions(const SchedulerOptions& options);

// A sequence as the scheduler takes it: new, or resumed after a failure or re-forming with the
// tokens it already has.
struct SequenceSpec {
  uint64_t id = 0;               // unique among live sequences
  std::vector<uint32_t> tokens;  // prompt, then output so far
  uint32_t prompt_length = 0;
  uint32_t max_output_tokens = 0;        // of the whole request; 0 = what max_seq_len allows
  SamplingParams sampling;               // min_tokens and its suppressed ids included
  std::vector<uint32_t> stop_token_ids;  // any of them ends the sequence (end tokens too, unless
                                         // ignored by the request)
  int32_t priority = 0;                  // larger first; FCFS within
  bool prefix_cache = true;
  bool prompt_logprobs =
      false;                 // of every prompt token after the first; no use of the prefix cache
  bool constrained = false;  // its draws await masks
};

// What a commit did to one sequence. `finish` is NONE while it runs, STOP after a stop id (past
// min_tokens), LENGTH at max_output_tokens or where no further token has room; the ending token is
// counted in `tokens` and `num_outputs`.
struct SequenceEvent {
  uint64_t id = 0;
  absl::InlinedVector<uint32_t, 4> tokens;
  std::vector<Logprobs> logprobs;  // one per token when asked for
  // With the first token, when asked for: the prompt's columns of all its chunks.
  std::unique_ptr<Logprobs> prompt_logprobs;
  FinishReason finish = FINISH_REASON_NONE;
  uint32_t num_outputs = 0;    // so far, this delta included
  uint32_t cached_tokens = 0;  // prompt tokens found in the prefix cache when first admitted
  uint32_t preemptions = 0;
};

struct SchedulerState {
  uint32_t running = 0;  // admitted, and not yet told their last token
  uint32_t waiting = 0;
  uint32_t inflight = 0;
  uint32_t used_blocks = 0;
  uint32_t cached_blocks = 0;  // free but holding reusable prefixes
  uint64_t preemptions = 0;
  uint64_t steps = 0;
  uint64_t prompt_tokens = 0;   // computed, not cached
  uint64_t queried_tokens = 0;  // that the prefix cache was asked for at admissions
  uint64_t cached_tokens = 0;   // of these, found
  uint64_t output_tokens = 0;
};

class Scheduler {
 public:
  // `options` must pass ValidateOptions (CHECK).
  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();

  // Queues a sequence. INVALID_ARGUMENT when it could never run: empty, over max_seq_len, its
  // max_output_tokens already reached, more blocks than exist, prompt over max_num_tokens without
  // chunking, penalties, biases or a constraint without rows, id already live. Without
  // max_output_tokens it ends (LENGTH) at max_seq_len or where the whole pool is full.
  absl::Status Add(SequenceSpec spec);
  // Ends a sequence now: its blocks are free for the next plan, no further event comes. False when
  // the id is not live.
  bool Cancel(uint64_t id);
  // The next plan, or nullopt when nothing can run now (nothing live, everything awaits results, or
  // max_inflight plans are out). Every plan returned must be dispatched, in order.
  std::optional<StepPlan> NextStep();
  // Ids of the sequences that the newest plan started for the first time.
  const std::vector<uint64_t>& started() const;
  // Ids of the sequences whose masks the newest plan awaits, in plan order.
  const std::vector<uint64_t>& awaiting() const;
  // What the newest mask of a sequence cost; its next one is expected to cost about that. A cost of
  // 0 says nothing of it. Ids that are not live are ignored.
  void NoteMaskWork(uint64_t id, uint64_t work);
  // Applies the result of the oldest plan in flight. INTERNAL when the result does not match that
  // plan (the group must be fenced). `events` is appended to, in plan order.
  absl::Status Commit(const StepResult& result, std::vector<SequenceEvent>& events);
  // The specs of all live sequences with their tokens so far, oldest first, as Add takes them; the
  // scheduler is empty afterwards. Plans still in flight may be committed or not; they concern
  // nobody any more.
  std::vector<SequenceSpec> TakeAll();

  bool HasWork() const;  // a live sequence exists
  SchedulerState state() const;
  // CHECK-fails unless every block is owned as often as it is referenced and every slot is
  // accounted for. For tests and idle moments.
  void CheckInvariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
