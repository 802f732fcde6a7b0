// What an experiment over layouts needs of the pool that it measures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/partition/candidates.h"
#include "proto/results.pb.h"

namespace regatta {

// Where an experiment stands: "layout 3/7 tp2-dp2 fp8, round 2"; round 0 is the final sweep.
struct ExperimentStage {
  std::string title;
  uint32_t round = 0;
};

class PartitionBench {
 public:
  virtual ~PartitionBench() = default;

  // Has the pool serve as `candidate` says; the seconds that took. An error is the candidate's own:
  // others may still be formed.
  virtual absl::StatusOr<double> Form(const Candidate& candidate) = 0;

  // Measures a load there; the run is the last of sweep().runs(), marked with the precision and the
  // round. None when it was interrupted. `after` follows on the same layout. An error when this
  // layout can be measured no longer.
  virtual absl::Status Measure(const Candidate& candidate, const ExperimentStage& stage,
                               const PlannedLoad& load, absl::Span<const PlannedLoad> after) = 0;

  // What will probably be measured behind the layout that is formed now, and the seconds for
  // forming it: of the estimate of what is left.
  virtual void Expect(std::vector<LoadPoint> loads, double forming_s) = 0;

  // OK while another layout could be formed; asked after an error.
  virtual absl::Status Usable() = 0;

  // The results so far, for the experiment to complete.
  virtual SweepReport& sweep() = 0;
};

}  // namespace regatta
