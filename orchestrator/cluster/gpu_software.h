// What the GPUs of a cluster run on, as its workers tell.
#pragma once

#include <string>

#include "proto/cluster.pb.h"

namespace regatta {

// Versions in text, one value where the workers agree, else each: "570.10, 580.65". Empty: none
// tells.
struct GpuSoftwareText {
  std::string driver;
  std::string driver_cuda;  // the newest CUDA that the driver runs
  std::string cuda;         // of the runtime
  std::string nccl;
};

GpuSoftwareText GpuSoftwareOf(const ClusterDescription& cluster);

}  // namespace regatta
