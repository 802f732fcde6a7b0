// The pool that an experiment forms into layouts: this host's, before anything is launched, or one
// that serves.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "orchestrator/cluster/cluster_options.h"
#include "orchestrator/partition/candidates.h"
#include "proto/cluster.pb.h"

namespace regatta {

// What `ranks` ranks launched here would run on; 0 = all GPUs that this host shows. Takes well
// under a second. INVALID_ARGUMENT: no number for CPU ranks; FAILED_PRECONDITION: fewer GPUs than
// that.
absl::StatusOr<PoolFacts> PoolOfHost(const ClusterOptions& options, uint32_t ranks);

// All workers of a cluster, idle ones included.
PoolFacts PoolOfCluster(const ClusterDescription& cluster);

}  // namespace regatta
