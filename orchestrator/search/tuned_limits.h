// The limits of a server that fit one load, and the configuration file that holds them. Pure.
#pragma once

#include <string>

#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// The limits that `cluster` has; zero where it does not tell.
TunedLimits LimitsOf(const ClusterDescription& cluster);

// Limits for the load of `point`, measured on `cluster`, each with its reason:
//   max_batch_size: the users of one copy of the model, dealt evenly, so that all of them run and
//     no more: further ones wait instead of slowing everybody down;
//   max_num_tokens: what a step holds when it is busy, one token of each user and the prompts that
//     replace ended requests meanwhile (users x input / output, after TensorRT-LLM's
//     bench/build/tuning.py), and one longest prompt, in whole 256; at least 2048 as that tool has
//     it, and never above the limit it was measured with;
//   max_seq_len: as it was;
//   CUDA graphs up to max_batch_size, on GPUs.
TunedLimits TuneLimits(const PointReport& point, const ClusterDescription& cluster);

// A file for `--config` of serve, sweep and regatta-router: layout, precision and the tuned limits,
// the reasons as comments.
std::string TunedYaml(const SweepReport& sweep, const ClusterDescription& cluster);

}  // namespace regatta
