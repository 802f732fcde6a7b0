// Figures that a run is asked for beyond trtllm-bench's: from flags to the statistics and back into
// the results.
#pragma once

#include "absl/status/status.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// INVALID_ARGUMENT for what cannot be computed: objectives that cannot be read, objectives or
// speeds of tokens with streaming off.
absl::Status CheckFigures(const BenchmarkOptions& options);

// Leaves in `info` what CompletePoint needs for the figures of `options`, which have been checked,
// and how many GPUs of the cluster's pool are idle.
void AskFigures(const BenchmarkOptions& options, const ClusterDescription& cluster,
                RegattaInfo& info);

// Adds a measured run to the sweep: as a point, or with repeats, for a search or for an experiment
// over layouts as a run from which points and intervals are made again; a run that was interrupted
// says nothing beside whole ones and is left out then. Users at each asked speed are counted again.
void KeepRun(const BenchmarkOptions& options, const PointReport& run, bool interrupted,
             SweepReport& sweep);

// The first point of the sweep with all that describes the sweep, for where it stands alone.
PointReport StandalonePoint(const SweepReport& sweep);

}  // namespace regatta
