// PlanAuditor: checks the policy of plans from outside: order of service, chunk sizes, look-ahead,
// pipeline cohorts, bounded waiting. It sees only what goes in and out of the scheduler. (That
// plans can be executed at all is the fake worker's to check.)
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "proto/worker.pb.h"
#include "router/scheduler/scheduler.h"

namespace regatta::sim {

class PlanAuditor {
 public:
  explicit PlanAuditor(const SchedulerOptions& options) : options_(options) {}

  // `limit` counts the sequence's tokens at most. SamplingParams.seed must equal the id: it
  // identifies admissions.
  void OnAdd(const SequenceSpec& spec, uint32_t limit);
  void OnEnd(uint64_t id);
  // After every call of NextStep, before OnPlan: how many sequences it preempted.
  void OnNextStep(uint64_t preemptions);
  absl::Status OnPlan(const StepPlan& plan, const std::vector<uint64_t>& started);
  void OnMask(uint64_t id, uint64_t work);
  void OnCommit(uint64_t step_id);
  // Draws that the newest plan put off for the sake of others' masks.
  uint64_t turns_waited() const { return turns_waited_; }

 private:
  struct Live {
    uint64_t id = 0;
    bool takes_row = false;
    bool constrained = false;
    bool scored = false;  // its prompt, until its first token
    bool started = false;
    uint32_t limit = 0;
    uint32_t total = 0;     // tokens known and in flight
    uint32_t position = 0;  // next position to compute
    uint32_t prefill_end = 0;
    uint32_t slot = UINT32_MAX;
    uint64_t last_step = 0;     // newest plan that holds it
    uint64_t sample_step = 0;   // newest plan that draws for it
    uint64_t mask_work = 0;     // of its newest mask
    uint64_t turn_since = 0;    // plan since which its draw is put off
    uint64_t first_waited = 0;  // plan since which it waits as the first of all
  };
  struct Rank {
    int32_t priority;
    uint64_t arrival;
    bool operator<(const Rank& other) const {
      return priority != other.priority ? priority > other.priority : arrival < other.arrival;
    }
  };

  absl::Status CheckAdmission(const Admission& admission, uint64_t step_id);
  absl::Status CheckEntry(const StepPlan& plan, int i);
  absl::Status CheckDecodes(const StepPlan& plan, uint32_t decodes);
  absl::Status CheckMasks(const StepPlan& plan, uint32_t decodes) const;
  absl::Status CheckWaiting(uint64_t step_id);

  const SchedulerOptions options_;
  uint64_t arrivals_ = 0;
  uint64_t committed_ = 0;
  uint64_t turns_waited_ = 0;
  std::map<Rank, Live> live_;       // in order of service
  std::map<uint64_t, Rank> ranks_;  // by id
  std::map<uint32_t, Rank> slots_;  // holder; erased when released
  std::set<uint64_t>
      first_at_preemption_;  // first in order at each call that preempted, since the last plan
  std::set<uint32_t> ended_slots_;  // holders that have ended, not released yet
};

}  // namespace regatta::sim
