// ClusterService: the cluster API over gRPC. Translates; the coordinator decides.
#pragma once

#include "proto/cluster.grpc.pb.h"
#include "router/cluster/coordinator.h"

namespace regatta {

class ClusterService final : public Cluster::CallbackService {
 public:
  // `coordinator` must outlive the service, and answer until the server has shut down.
  explicit ClusterService(Coordinator& coordinator) : coordinator_(coordinator) {}

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const ClusterDescribeRequest* request,
                                     ClusterDescription* response) override;
  grpc::ServerWriteReactor<RepartitionProgress>* Repartition(
      grpc::CallbackServerContext* context, const RepartitionRequest* request) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const DrainRequest* request,
                                  DrainResponse* response) override;
  grpc::ServerWriteReactor<ClusterState>* Watch(grpc::CallbackServerContext* context,
                                                const WatchRequest* request) override;

 private:
  Coordinator& coordinator_;
};

}  // namespace regatta
