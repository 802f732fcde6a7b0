// A communicator over NCCL: every collective is issued on the rank's stream and may be captured.
#pragma once

#include <cuda_runtime.h>

#include <compare>
#include <map>
#include <memory>

#include "worker/collectives/communicator.h"
#include "worker/collectives/nccl_link.h"
#include "worker/collectives/nccl_token_channel.h"
#include "worker/collectives/peer_memory.h"
#include "worker/collectives/peer_sums.h"

namespace regatta {

// The ranks first, first + stride, ... of a group, ascending.
struct Members {
  int first = 0, stride = 1, count = 0;
  auto operator<=>(const Members&) const = default;
};

// How a set of members speaks; shared by all communicators over it.
struct NcclSubset {
  int communicator = 0;               // the link's
  std::unique_ptr<PeerMemory> peers;  // null where the members do not map one another's memory
  std::unique_ptr<PeerSums> beside;   // null where sums run beside nothing
};

// What the communicators of one rank share; it ends when the last of them has gone.
struct NcclResources {
  ~NcclResources();

  int rank = 0;
  int world_size = 0;
  Ops* ops = nullptr;
  cudaStream_t stream = nullptr;
  PeerLimits limits;
  std::shared_ptr<NcclLink> link;
  int world = 0;  // the link's communicator of all ranks
  std::unique_ptr<NcclTokenChannel> tokens;
  std::map<Members, NcclSubset> subsets;
};

// Over one of the subsets of `resources`.
std::unique_ptr<Communicator> MakeNcclCommunicator(std::shared_ptr<NcclResources> resources,
                                                   const Members& members);

}  // namespace regatta
