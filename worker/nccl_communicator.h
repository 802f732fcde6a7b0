// A communicator over NCCL: every collective is issued on the rank's stream and may be captured.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "worker/communicator.h"
#include "worker/nccl_link.h"
#include "worker/nccl_token_channel.h"

namespace regatta {

// What the communicators of one rank share; it ends when the last of them has gone.
struct NcclResources {
  ~NcclResources();

  int rank = 0;
  int world_size = 0;
  cudaStream_t stream = nullptr;
  std::shared_ptr<NcclLink> link;
  int world = 0;  // numbers of the link's communicators
  std::unique_ptr<NcclTokenChannel> tokens;
};

// Members are the group's ranks first, first + stride, ...; `communicator` is the link's of them.
struct NcclMembers {
  int communicator = 0;
  int first = 0, stride = 1, count = 0;
};

std::unique_ptr<Communicator> MakeNcclCommunicator(std::shared_ptr<NcclResources> resources,
                                                   const NcclMembers& members);

}  // namespace regatta
