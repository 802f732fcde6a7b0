// Which sums between GPUs go through memory that they map from one another.
#pragma once

#include <cstdint>

namespace regatta {

// Sums of more bytes are left to the next way: one shot, two shots, NCCL. Below 0 = the default of
// kernels/cuda/peer_all_reduce.h, 0 = never. Equal on all ranks of a group.
struct PeerLimits {
  int64_t one_shot_bytes = -1;
  int64_t two_shot_bytes = -1;
  int64_t beside_bytes = 0;  // of a sum that is to run beside other work; 0 = none does
};

}  // namespace regatta
