// InferenceService: the gRPC front end. One reactor per stream; deltas are queued by engine threads
// and written one message at a time. A client that reads too slowly is cut off. Knows only
// frontend.h.
#pragma once

#include "proto/inference.grpc.pb.h"
#include "router/delta_backlog.h"
#include "router/frontend.h"

namespace regatta {

// What may wait for a client to read it; more ends its call with RESOURCE_EXHAUSTED.
struct InferenceServiceOptions {
  BacklogLimits generate = {4096, 16 << 20};
  BacklogLimits generate_many = {1 << 18, 256 << 20};  // over all requests of a call
};

class InferenceService final : public Inference::CallbackService {
 public:
  // `sink` must outlive the service.
  explicit InferenceService(RequestSink& sink, const InferenceServiceOptions& options = {})
      : sink_(sink), options_(options) {}

  grpc::ServerWriteReactor<TokenDelta>* Generate(grpc::CallbackServerContext* context,
                                                 const GenerateRequest* request) override;
  grpc::ServerBidiReactor<GenerateManyRequest, GenerateManyResponse>* GenerateMany(
      grpc::CallbackServerContext* context) override;

 private:
  RequestSink& sink_;
  const InferenceServiceOptions options_;
};

}  // namespace regatta
