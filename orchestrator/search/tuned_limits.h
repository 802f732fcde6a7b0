// The limits of a server that fit one load, and the configuration file that holds them. Pure.
#pragma once

#include <string>

#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// The limits that `cluster` has; zero where it does not tell.
TunedLimits LimitsOf(const ClusterDescription& cluster);

// Limits for the load of `point`, measured on `cluster`, each with its reason:
//   max_batch_size: 1.25 times the users of one copy of the model, dealt evenly, up to whole 8 (the
//     step of recorded graph sizes), and no more than it was measured with. With exactly as many
//     places as users, who joins waits until the one before has given up its place, a step later:
//     measured on H100s that cost 4 to 6 % of speed and throughput. Beyond it further ones wait
//     instead of slowing everybody down;
//   max_num_tokens, max_seq_len: as measured, 0 where the server does not tell. Fewer tokens a step
//     put off the prompts of new users; what was not measured is not known to be better;
//   CUDA graphs up to max_batch_size, on GPUs.
TunedLimits TuneLimits(const PointReport& point, const ClusterDescription& cluster);

// A file for `--config` of serve, sweep and regatta-router: layout, precision and the tuned limits,
// the reasons as comments.
std::string TunedYaml(const SweepReport& sweep, const ClusterDescription& cluster);

}  // namespace regatta
