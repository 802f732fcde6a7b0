// The scheduler's state and its transitions; see scheduler.h for what it promises. Split over
// scheduler.cc (coming and going), scheduler_plan.cc (decoding), scheduler_masks.cc (who of those
// with masks), scheduler_prompts.cc (admission and prompt chunks), scheduler_commit.cc and
// scheduler_check.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "router/scheduler/block_pool.h"
#include "router/scheduler/prefix_cache.h"
#include "router/scheduler/prompt_pace.h"
#include "router/scheduler/scheduler.h"
#include "router/scheduler/scheduler_admission.h"
#include "router/scheduler/sequence.h"
#include "router/scheduler/sequence_queue.h"

namespace regatta {

class Scheduler::Impl {
 public:
  explicit Impl(const SchedulerOptions& options);

  absl::Status Add(SequenceSpec spec);
  bool Cancel(uint64_t id);
  std::optional<StepPlan> NextStep();
  void NoteMaskWork(uint64_t id, uint64_t work);
  absl::Status Commit(const StepResult& result, std::vector<SequenceEvent>& events);
  std::vector<SequenceSpec> TakeAll();
  const std::vector<uint64_t>& started() const { return started_; }
  const std::vector<uint64_t>& awaiting() const { return awaiting_; }
  bool HasWork() const { return !live_.empty(); }
  SchedulerState state() const;
  void CheckInvariants() const;

 private:
  // A plan in flight: what its result will be matched with. `arrival` tells a sequence from a later
  // one in the same table entry.
  struct Sample {
    uint64_t arrival;
    uint32_t sequence;
    uint32_t slot;
    int32_t logprobs;  // place in the result's; -1 = none
  };
  // A prompt chunk whose tokens are scored.
  struct Scored {
    uint64_t arrival;
    uint32_t sequence;
    uint32_t logprobs;  // place in the result's
    uint32_t count;     // log-probabilities of prompt tokens
  };
  struct PlanRecord {
    uint64_t step_id = 0;
    uint32_t num_logprobs = 0;
    std::vector<Sample> samples;  // entries with SAMPLE, in plan order
    std::vector<Scored> scored;   // entries with LOGITS_ALL, in plan order
  };
  // A chosen slot whose draw would await a mask; the smallest key goes first.
  struct MaskTurn {
    double key = 0;
    uint64_t work = 0;
    uint32_t slot = 0;
    bool operator<(const MaskTurn& other) const {
      return key != other.key ? key < other.key : slot < other.slot;
    }
  };
  struct PublishRange {
    uint32_t sequence, first_block, end_block;
  };

  // scheduler.cc
  absl::Status CheckSpec(const SequenceSpec& spec) const;
  uint32_t LimitOf(const SequenceSpec& spec) const;
  Sequence& NewSequence(SequenceSpec spec);
  void Observe(const Sequence& sequence, bool reached_bound);
  void End(Sequence& sequence);
  void ReleaseSlot(Sequence& sequence, SequenceState state);

  // scheduler_masks.cc
  void TakeMaskTurns();

  // scheduler_plan.cc
  uint32_t ChooseDecodes();
  void TakeCohort(uint32_t decoding);
  bool MakeRoom(uint32_t blocks_needed);
  void Preempt(Sequence& sequence);
  void PlanDecodes(StepPlan& plan);
  void PlanEntry(StepPlan& plan, uint32_t slot_id, uint32_t count, uint32_t flags);
  void RecordScored(const Slot& slot, uint32_t count);
  PlanRecord& Record(size_t age) { return records_[(oldest_record_ + age) % records_.size()]; }

  // scheduler_prompts.cc
  void PlanPrompts(StepPlan& plan, uint32_t budget);
  void PlanChunk(StepPlan& plan, uint32_t slot_id, uint32_t count);
  uint32_t ChunkSize(uint32_t position, uint32_t end, uint32_t budget, bool first) const;
  bool TryAdmit(StepPlan& plan, Sequence& sequence, uint32_t budget, bool first);
  bool HasRoom(Sequence& sequence);
  void ProbeCache(Sequence& sequence);
  void TakeBlocks(Sequence& sequence);
  void WriteAdmission(const Sequence& sequence, Admission& admission) const;
  void BuildForecast();
  void AddToForecast(Slot& slot);
  uint64_t OwnedTokens(const Slot& slot) const;
  void PublishPrompts();

  // scheduler_commit.cc
  absl::Status CheckResult(const StepResult& result);
  absl::Status CheckLogprobs(const StepResult& result, const PlanRecord& record) const;
  void CommitScores(const StepResult& result, const PlanRecord& record);
  void Prefetch(const PlanRecord& record, size_t i) const;
  void CommitToken(Sequence& sequence, uint32_t token, const Logprobs* logprobs,
                   SequenceEvent& event);
  void ExtendKeys(Sequence& sequence) const;

  // scheduler_check.cc
  void CheckSequences() const;
  void CheckSlots() const;
  void CheckBlocks() const;

  const SchedulerOptions options_;
  const uint32_t block_size_;
  const uint32_t max_running_;  // slots in use at once: never more than tokens in a step, so that
                                // every decode fits every step
  BlockPool pool_;
  PrefixCache cache_;

  std::vector<std::unique_ptr<Sequence>> sequences_;  // by Sequence::index; entries are reused
  std::vector<uint32_t> vacant_;                      // free entries of it
  absl::flat_hash_map<uint64_t, uint32_t> live_;      // id -> index
  uint64_t arrivals_ = 0;

  SequenceQueue waiting_;
  std::vector<Slot> slots_;
  FreeSlots free_slots_;
  uint32_t end_slot_ = 0;                 // slots from here on are free
  uint32_t next_cohort_slot_ = 0;         // with stages: where the next cohort begins
  std::vector<uint32_t> released_slots_;  // to be told to the workers by the next plan
  std::vector<uint32_t> prefilling_;      // slots with prompt left to compute, in order of service
  uint32_t free_rows_;

  std::vector<PlanRecord> records_;  // ring of plans in flight
  size_t oldest_record_ = 0;
  size_t inflight_ = 0;
  uint64_t step_ = 0;            // newest plan
  uint64_t round_ = 0;           // calls of NextStep
  uint64_t committed_step_ = 0;  // newest plan with its result applied

  LengthModel lengths_;
  MemoryForecast forecast_;
  bool forecast_built_ = false;  // for the plan being made
  SafetyMargin margin_;
  PromptPace pace_;
  uint32_t draining_ = 0;  // sequences whose last token is in flight

  // Scratch of NextStep.
  std::vector<uint32_t> chosen_;  // slots that decode in this plan
  std::vector<MaskTurn> masked_;  // of these, those that await a mask
  std::vector<uint32_t> found_;   // blocks that the last probe found
  std::vector<PublishRange> computed_;
  std::vector<uint64_t> started_;
  std::vector<uint64_t> awaiting_;
  SchedulerState totals_;  // counters only
};

}  // namespace regatta
