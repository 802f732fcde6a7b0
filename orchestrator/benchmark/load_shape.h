// How the requests of load points are issued, as flags say it: arrivals, ramps, replay,
// cancellations, client threads.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/load/load_options.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/workload/workload.h"
#include "proto/results.pb.h"

namespace CLI {
class App;
}

namespace regatta {

struct LoadShapeOptions {
  std::string arrival = "poisson";  // of points with a request rate
  double burstiness = 1;
  std::string ramp_up;
  double ramp_up_start_rate = 0;
  double concurrency_ramp_s = 0;
  bool fixed_schedule = false;  // by the data set's timestamps
  double replay_speedup = 1;
  double cancellation_percent = 0;
  double cancellation_delay_s = 0;
  double turn_delay_mean_ms = 0, turn_delay_stdev_ms = 0;
  int64_t cache_salt = -1;      // -1: prompts are left as they are
  uint32_t client_threads = 0;  // 0 = enough for the load
  bool calibrate = true;
};

// Adds the flags but --request-rate and --concurrency, which the commands read differently.
void AddLoadShapeFlags(CLI::App& command, LoadShapeOptions& options);

// INVALID_ARGUMENT names a flag whose value is impossible at `point`, or that has no effect there.
absl::Status CheckLoadShape(const LoadShapeOptions& options, const LoadPoint& point);

// What the load generator is to do with `batch` at `point`; both must have been checked.
LoadOptions LoadOptionsOf(const LoadShapeOptions& options, const LoadPoint& point,
                          const Batch& batch, uint64_t seed);

// What `point` is called.
LoadKey LoadOf(const LoadShapeOptions& options, const LoadPoint& point);

// The same for the record.
LoadShape DescribeLoadShape(const LoadShapeOptions& options, const LoadPoint& point);

// --client-threads, or one per 256 requests at once and per 2,000 requests a second, at most the
// cores that this process may use.
uint32_t ClientThreads(const LoadShapeOptions& options, const LoadPoint& point);

}  // namespace regatta
