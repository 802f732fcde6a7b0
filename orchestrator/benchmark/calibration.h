// What this client takes on this machine, measured against a null server in the same process.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/grpc/grpc_target.h"
#include "proto/results.pb.h"

namespace regatta {

struct CalibrationSetup {
  bool http = false;  // else gRPC, in `mode`
  StreamMode mode = StreamMode::kMultiplexed;
  uint32_t threads = 1;
};

// About one second: as many tokens as possible, then tokens at known times, each for half of it.
// Server and client share the cores, so both figures are on the safe side. CANCELLED by `stop`.
absl::StatusOr<ClientCalibration> CalibrateClient(const CalibrationSetup& setup,
                                                  const std::atomic<bool>& stop);

// "client: 2 threads take 412,000 token messages/s and record times 85 us late (p50; p99 610 us)".
std::string CalibrationLine(const ClientCalibration& calibration);

}  // namespace regatta
