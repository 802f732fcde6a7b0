// All requests on one Inference.GenerateMany stream, which is opened anew when it breaks.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <vector>

#include "orchestrator/grpc/completion_poller.h"
#include "orchestrator/load/target.h"
#include "proto/inference.grpc.pb.h"

namespace regatta {

class MultiplexedTarget final : public Target {
 public:
  explicit MultiplexedTarget(std::shared_ptr<grpc::Channel> channel);
  ~MultiplexedTarget() override;

  void Start(uint64_t tag, const GenerateRequest& request) override;
  void Cancel(uint64_t tag) override;
  void Poll(int64_t deadline_ns, TargetEvents& events) override;

 private:
  class Stream;

  // The stream to write to: the newest, unless it broke.
  Stream& Usable();

  CompletionPoller poller_;
  std::unique_ptr<Inference::Stub> stub_;
  std::vector<std::unique_ptr<Stream>> streams_;  // broken ones until gRPC has let go of them
};

}  // namespace regatta
