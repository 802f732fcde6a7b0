// Simulation: one workload through scheduler, fake worker and plan auditor, with results that come
// late and everything that can happen in between: arrivals, cancels, late stops, failures with
// plans in flight, re-forming. Every sequence must end exactly once with exactly the tokens that
// the model says, computed apart.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "router/scheduler/mask_ledger.h"
#include "router/scheduler/scheduler.h"
#include "tests/sim/fake_constraint.h"
#include "tests/sim/fake_worker.h"
#include "tests/sim/plan_auditor.h"
#include "tests/sim/workload.h"

namespace regatta::sim {

// What happened, so that a test can see that the workloads reach what they are meant to reach.
struct Coverage {
  uint64_t workloads = 0, steps = 0, finished = 0, cancelled = 0, rejected = 0, preempted = 0;
  uint64_t cached_tokens = 0, reformed = 0, late_stops = 0, discarded_tokens = 0;
  uint64_t preempted_in_flight = 0, slots_reused_in_flight = 0;
  uint64_t masked_draws = 0, masks_awaited = 0, masks_of_ended = 0, moved_constraints = 0;
  uint64_t scored_prompts = 0;
  uint64_t put_off_masks = 0;
  void Add(const Coverage& other);
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed);

  // Runs to the end. An error says what went wrong and when.
  absl::Status Run();
  const Coverage& coverage() const { return coverage_; }
  std::string Describe() const;

 private:
  // A request as its client sees it, and the model's own view of what must come next.
  struct Client {
    SequenceSpec spec;  // tokens: prompt and what was streamed
    uint32_t late_stop = 0;
    bool live = false;
    uint32_t ends = 0;
    uint32_t limit = 0;  // in the present group
    uint32_t preemptions = 0;
    std::vector<uint64_t> kv;
    uint64_t attention = 0;
    uint64_t penalty_row = 0;
    std::shared_ptr<FakeConstraint> constraint;  // as the router keeps it; null without
  };

  absl::Status Tick();
  absl::Status Arrive();
  absl::Status CancelSomebody();
  absl::Status Dispatch();
  absl::Status ExpectMasks(const StepPlan& plan);
  void ComputeMasks();
  absl::Status Execute();
  absl::Status Deliver();
  absl::Status Reform();
  absl::Status OnEvent(const SequenceEvent& event);
  absl::Status Cancel(Client& client);
  absl::Status CheckDone();

  bool Acceptable(const SequenceSpec& spec) const;
  uint32_t LimitOf(const SequenceSpec& spec) const;
  void StartGroup(const SchedulerOptions& options);
  absl::Status Join(Client& client, SequenceSpec spec);
  uint32_t NextToken(Client& client);
  bool PromptLogprobsAreRight(const Client& client, const SequenceEvent& event) const;

  const Workload workload_;
  Random random_;
  SchedulerOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<FakeWorker> worker_;
  std::unique_ptr<PlanAuditor> auditor_;
  std::deque<StepPlan> dispatched_;  // not yet run
  std::deque<StepResult> results_;   // run, not yet delivered
  MaskLedger ledger_;
  std::map<uint64_t, SampleInput> masks_;  // computed, not yet used; by step
  std::map<uint64_t, Client> clients_;
  size_t arrived_ = 0;
  uint64_t ticks_ = 0;
  Coverage coverage_;
};

}  // namespace regatta::sim
