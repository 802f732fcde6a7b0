// Random workloads: options of a group, requests, and what will happen to them. A function of the
// seed alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "router/scheduler/scheduler.h"
#include "tests/sim/random.h"

namespace regatta::sim {

struct PlannedRequest {
  SequenceSpec spec;  // sampling.seed == id
  uint32_t late_stop =
      0;  // cancelled on seeing this many outputs, as a stop string does; 0 = never
};

struct Workload {
  SchedulerOptions options;
  std::vector<PlannedRequest> requests;  // ids from 1 on
  uint32_t cancel_one_in = 0;            // chance per tick of cancelling somebody; 0 = never
  uint32_t reforms = 0;                  // failures and repartitions, at most
  uint32_t slowness = 1;                 // results come back after about so many ticks
  uint32_t arrival_one_in = 1;           // chance per tick of an arrival
};

Workload MakeWorkload(uint64_t seed);

// Options for the group that takes over: other stages, look-ahead, block size and caching, the same
// limits, at least as many positions.
SchedulerOptions Reform(const SchedulerOptions& original, Random& random);

std::string Describe(const SchedulerOptions& options);

}  // namespace regatta::sim
