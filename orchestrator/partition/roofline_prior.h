// What a layout could do at best, from sizes and data sheets alone. It orders the layouts of an
// experiment and is printed beside what was measured; it decides nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "orchestrator/partition/device_speed.h"
#include "orchestrator/partition/precision.h"
#include "orchestrator/partition/speed_frontier.h"
#include "proto/types.pb.h"

namespace regatta {

// Mean lengths of the workload, and what one copy of the model may run at once (0 = no limit).
struct PriorLoad {
  double input_tokens = 128;
  double output_tokens = 128;
  double max_running = 0;
};

// Seconds of one step of one pipeline stage in which `sequences` sequences of a copy decode, each
// bringing input / output prompt tokens along, as in a steady state of a closed loop:
//
//   step = max(bytes read / bandwidth, FLOP / peak) + communication + overhead
//
// Bytes: the stage's share of the weights, of experts those that some token chose,
// 1 - (1 - chosen / experts)^tokens, and keys and values at the mean context. FLOP: two per weight
// and token. Communication: two all-reduces a layer, each two latencies and 2 (tp - 1) / tp of the
// activations over a link; one message per stage boundary.
//
// Williams, Waterman, Patterson 2009 (roofline); Thakur, Rabenseifner, Gropp 2005 (all-reduce);
// Pope et al. 2022, "Efficiently Scaling Transformer Inference" (the split of a step over chips).
// Memory is taken to give 80 % of its peak, arithmetic 60 %.
double PriorStepSeconds(const PreciseModel& model, const Layout& layout, const DeviceSpeed& device,
                        const PriorLoad& load, double sequences);

// Per-user speed and output tokens per second and device when `concurrency` users are dealt over
// the copies; within a copy, over as many cohorts as there are stages. What a copy cannot hold
// waits.
SpeedPoint PriorPoint(const PreciseModel& model, const Layout& layout, const DeviceSpeed& device,
                      const PriorLoad& load, uint32_t concurrency);

}  // namespace regatta
