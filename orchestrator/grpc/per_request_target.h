// One Inference.Generate call per request.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <unordered_map>

#include "orchestrator/grpc/completion_poller.h"
#include "orchestrator/load/target.h"
#include "proto/inference.grpc.pb.h"

namespace regatta {

class PerRequestTarget final : public Target {
 public:
  explicit PerRequestTarget(std::shared_ptr<grpc::Channel> channel);
  ~PerRequestTarget() override;

  void Start(uint64_t tag, const GenerateRequest& request) override;
  void Cancel(uint64_t tag) override;
  void Poll(int64_t deadline_ns, TargetEvents& events) override;

 private:
  class Call;

  CompletionPoller poller_;
  std::unique_ptr<Inference::Stub> stub_;
  std::unordered_map<uint64_t, std::unique_ptr<Call>> calls_;
};

}  // namespace regatta
