// Threads, calibration, targets; see benchmark_client.h.
#include "orchestrator/benchmark/benchmark_client.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "common/status_macros.h"
#include "orchestrator/benchmark/calibration.h"
#include "orchestrator/benchmark/load_shape.h"
#include "orchestrator/http/connection_limit.h"

namespace regatta {
namespace {

std::vector<Target*> PointersTo(const std::vector<std::unique_ptr<Target>>& targets) {
  std::vector<Target*> pointers;
  for (const auto& target : targets) pointers.push_back(target.get());
  return pointers;
}

}  // namespace

BenchmarkClient::BenchmarkClient(std::vector<std::unique_ptr<Target>> targets,
                                 std::optional<ClientCalibration> calibration,
                                 const std::atomic<bool>& stop)
    : targets_(std::move(targets)),
      calibration_(std::move(calibration)),
      stop_(stop),
      generator_(PointersTo(targets_)) {}

absl::StatusOr<std::unique_ptr<BenchmarkClient>> BenchmarkClient::Connect(
    const BenchmarkOptions& options, const std::vector<LoadPoint>& points, const Serving& serving,
    StreamMode mode, const std::atomic<bool>& stop) {
  uint32_t threads = 1, concurrency = 0;
  for (const LoadPoint& point : points) {
    threads = std::max(threads, ClientThreads(options.load, point));
    concurrency = std::max(concurrency, point.concurrency);
  }
  if (serving.http) RETURN_IF_ERROR(AllowConnections(concurrency));
  std::optional<ClientCalibration> calibration;
  if (options.load.calibrate) {
    ASSIGN_OR_RETURN(calibration, CalibrateClient({serving.http.has_value(), mode, threads}, stop));
    std::cerr << CalibrationLine(*calibration) << "\n";
  }
  ASSIGN_OR_RETURN(auto targets, serving.MakeTargets(mode, threads));
  return std::unique_ptr<BenchmarkClient>(
      new BenchmarkClient(std::move(targets), std::move(calibration), stop));
}

LoadResult BenchmarkClient::Run(const Batch& batch, const LoadOptions& load,
                                const LoadGenerator::OnProgress& progress) {
  LoadResult result = generator_.Run(batch, load, stop_, progress);
  if (calibration_) *result.client.mutable_calibration() = *calibration_;
  return result;
}

}  // namespace regatta
