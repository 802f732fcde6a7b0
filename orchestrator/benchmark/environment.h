// What the measuring host is, for the record.
#pragma once

#include "orchestrator/doctor/doctor.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// This host's kernel, CPU and memory, and the devices of `cluster`, with what its workers tell of
// their GPUs.
Environment DescribeEnvironment(const ClusterDescription& cluster);

// Driver, libraries, GPUs and how they reach one another, of this host whose GPUs are measured, in
// place of what the workers told.
void DescribeGpus(const DoctorFacts& facts, Environment& environment);

// The directory that relative paths of this process start from; empty where it is gone.
std::string WorkingDirectory();

// Now, as 2026-11-22T18:31:40Z, and as 20261122T183140Z for names.
std::string UtcTimestamp();
std::string CompactUtcTimestamp();

}  // namespace regatta
