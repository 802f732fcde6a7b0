// The gRPC face of the run book: checks, streams, limits.
#pragma once

#include <atomic>

#include "orchestrator/service/run_book.h"
#include "proto/orchestrator.grpc.pb.h"

namespace regatta {

class OrchestratorService final : public Orchestrator::Service {
 public:
  // `book` must outlive it.
  explicit OrchestratorService(RunBook& book) : book_(book) {}

  grpc::Status Start(grpc::ServerContext* context, const StartRunRequest* request,
                     RunSummary* response) override;
  grpc::Status Watch(grpc::ServerContext* context, const WatchRunRequest* request,
                     grpc::ServerWriter<RunProgress>* writer) override;
  grpc::Status Cancel(grpc::ServerContext* context, const CancelRunRequest* request,
                      RunSummary* response) override;
  grpc::Status List(grpc::ServerContext* context, const ListRunsRequest* request,
                    ListRunsResponse* response) override;
  grpc::Status Fetch(grpc::ServerContext* context, const FetchRunRequest* request,
                     grpc::ServerWriter<FileChunk>* writer) override;
  grpc::Status Compare(grpc::ServerContext* context, const CompareRunsRequest* request,
                       Comparison* response) override;

 private:
  absl::Status WatchRun(const grpc::ServerContext& context, const WatchRunRequest& request,
                        grpc::ServerWriter<RunProgress>& writer);
  absl::StatusOr<RunSummary> CancelRun(const grpc::ServerContext& context, const std::string& id);
  absl::Status FetchRun(const grpc::ServerContext& context, const std::string& id,
                        grpc::ServerWriter<FileChunk>& writer);
  absl::StatusOr<Comparison> CompareTwo(const CompareRunsRequest& request);
  // The results of a run; NOT_FOUND before its first.
  absl::StatusOr<SweepReport> ResultsOf(const RunSummary& run) const;

  RunBook& book_;
  std::atomic<int> streams_{0};  // of Watch and Fetch, each of which has a thread
};

}  // namespace regatta
