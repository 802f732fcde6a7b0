// The flags of `regatta partition`, which `regatta submit partition` takes as well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/benchmark/benchmark_options.h"

namespace regatta {

struct PartitionFlags {
  BenchmarkOptions benchmark;  // its gpus are the ranks of the pool
  std::string concurrency = "1:64:x4";
  std::string precision;
  std::string layouts;
  std::string resume;
  uint32_t rounds = 2;
  double margin = 0.1;
  bool dry_run = false;
  std::string gpu;                 // of a pool that is only thought of
  std::vector<std::string> given;  // GivenFlags of the command
};

// Binds them to `flags`, which must outlive `command`.
void AddPartitionFlags(CLI::App& command, PartitionFlags& flags);

// What can be known of them before the pool is. INVALID_ARGUMENT names the flag and what to give.
absl::Status CheckPartitionFlags(const PartitionFlags& flags);

}  // namespace regatta
