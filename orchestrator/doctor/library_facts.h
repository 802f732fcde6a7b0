// The shared libraries that ranks on GPUs load, and what this program was built for.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/doctor/gpu_inventory.h"
#include "proto/results.pb.h"

namespace regatta {

struct LibraryFacts {
  std::string name;   // "NCCL"
  std::string file;   // libnccl.so.2
  std::string error;  // why it does not load; empty when it does
  int version = 0;    // as the library tells it: 22809 = 2.28.9 of NCCL
};

struct BuildFacts {
  int cuda_version = 0;  // 13000 = 13.0; 0 = built without CUDA
  std::vector<LibraryFacts> libraries;
};

// 13000 as "13.0"; 22809 of NCCL as "2.28.9", 130101 of cuBLAS as "13.1.1"; empty for 0.
std::string CudaVersionText(int version);
std::string LibraryVersionText(int version);

// Loads the libraries that ranks on GPUs need and lets them go again.
BuildFacts ReadBuild();

// Whether the driver runs what was built, and libraries are found. Nothing without GPUs.
std::vector<HostFinding> BuildFindings(const BuildFacts& build, const GpuInventory& inventory);

}  // namespace regatta
