// The client side of a run: a target for each thread, the load generator over them, and what the
// client was found to be able to take.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/serving.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/load/load_generator.h"

namespace regatta {

class BenchmarkClient {
 public:
  // With as many threads as the point with the most needs; calibrated first, unless the options say
  // otherwise, while the cluster is idle (the figures go to stderr). `stop` must outlive the
  // client.
  static absl::StatusOr<std::unique_ptr<BenchmarkClient>> Connect(
      const BenchmarkOptions& options, const std::vector<LoadPoint>& points, const Serving& serving,
      StreamMode mode, const std::atomic<bool>& stop);

  // LoadGenerator::Run, with what calibration found in the result.
  LoadResult Run(const Batch& batch, const LoadOptions& load,
                 const LoadGenerator::OnProgress& progress);

 private:
  BenchmarkClient(std::vector<std::unique_ptr<Target>> targets,
                  std::optional<ClientCalibration> calibration, const std::atomic<bool>& stop);

  const std::vector<std::unique_ptr<Target>> targets_;  // one per thread
  const std::optional<ClientCalibration> calibration_;
  const std::atomic<bool>& stop_;
  LoadGenerator generator_;
};

}  // namespace regatta
