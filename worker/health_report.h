// HealthReport: a line on stdout for as long as this process answers. Who reads none for long, as
// a supervisor may, knows that it hangs.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "proto/health.grpc.pb.h"

namespace regatta {

inline constexpr char kAnswersLine[] = "answers";

// Asks the server for its health twice a second, over a channel inside the process: on gRPC's
// threads, which neither load nor compute, and whatever its port and certificates are.
class HealthReport {
 public:
  // `server` must outlive it.
  explicit HealthReport(grpc::Server& server);
  ~HealthReport();

 private:
  bool Answers();
  void Report();

  const std::unique_ptr<grpc::health::v1::Health::Stub> health_;
  absl::Notification stopping_;
  std::thread thread_;
};

}  // namespace regatta
