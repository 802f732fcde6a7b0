// Calls to an orchestrator service, each with its deadline.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/credentials.h"
#include "proto/orchestrator.grpc.pb.h"

namespace regatta {

struct ServiceAddress {
  std::string url = "grpc://127.0.0.1:9500";  // of kDefaultServiceAddress
  TlsOptions tls;
};

class OrchestratorClient {
 public:
  // Connected within 10 s. Errors of AddressOfUrl and Connect.
  static absl::StatusOr<OrchestratorClient> Dial(const ServiceAddress& address);

  absl::StatusOr<RunSummary> Start(const StartRunRequest& request);
  // Returns when the run has ended and nothing of it is left.
  absl::StatusOr<RunSummary> Cancel(const std::string& id);
  absl::StatusOr<ListRunsResponse> List(uint32_t limit);
  absl::StatusOr<Comparison> Compare(const CompareRunsRequest& request);

  // Calls `see` with every message until the run has ended, which is returned. Joins again when the
  // service goes away and comes back, or falls silent and speaks again, within `patience`; points
  // come once.
  absl::StatusOr<RunSummary> Watch(const std::string& id,
                                   const std::function<void(const RunProgress&)>& see,
                                   absl::Duration patience = absl::Minutes(1));
  // Writes the run's files into the directory `to`, which must not exist and does so only when all
  // is there. Returns their number. ALREADY_EXISTS, DATA_LOSS (a name that leads out of it),
  // UNAVAILABLE.
  absl::StatusOr<int> Fetch(const std::string& id, const std::string& to);

 private:
  explicit OrchestratorClient(std::unique_ptr<Orchestrator::Stub> stub) : stub_(std::move(stub)) {}
  // One stream of Watch, to its end for whatever reason.
  absl::Status WatchOnce(WatchRunRequest& request,
                         const std::function<void(const RunProgress&)>& see, RunSummary& last);

  std::unique_ptr<Orchestrator::Stub> stub_;
};

}  // namespace regatta
