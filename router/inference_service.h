// InferenceService: the gRPC front end. One reactor per stream; deltas are queued by engine threads
// and written one message at a time. A client that reads too slowly is cut off. Knows only
// frontend.h.
#pragma once

#include "proto/inference.grpc.pb.h"
#include "router/frontend.h"

namespace regatta {

// Deltas that may wait for a client to read them; more end its call with RESOURCE_EXHAUSTED.
struct InferenceServiceOptions {
  size_t max_pending = 4096;          // of a Generate call
  size_t max_pending_many = 1 << 18;  // of a GenerateMany call, over all its requests
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
