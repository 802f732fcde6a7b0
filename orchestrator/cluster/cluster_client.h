// What serves behind a channel: the router's Cluster service, as far as benchmarks need it.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

// Kind of the devices of a server of which only its URL is known.
inline constexpr char kRemoteDevice[] = "remote";

absl::StatusOr<ClusterDescription> DescribeCluster(const std::shared_ptr<grpc::Channel>& channel,
                                                   absl::Duration timeout);

// The load of this moment: the first message of Cluster.Watch.
absl::StatusOr<ClusterState> ReadClusterState(const std::shared_ptr<grpc::Channel>& channel,
                                              absl::Duration timeout);

// OK when the server behind `channel` says that it serves; UNAVAILABLE when it answers that it does
// not (forming, draining, without a group).
absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout);

// Asks until every group is running. Gives up at `timeout` with DEADLINE_EXCEEDED naming the states
// seen last, or as soon as `check` (every 100 ms) returns an error, which is returned.
absl::StatusOr<ClusterDescription> AwaitReady(const std::shared_ptr<grpc::Channel>& channel,
                                              absl::Duration timeout,
                                              const std::function<absl::Status()>& check);

// Gives the pool another layout or other limits while it serves; returns when that is done, within
// twice request.timeout_ms (0 = 120 s) and two minutes for draining. The router's error says which
// layout serves then. `on_progress` is called as stages go on.
absl::Status Repartition(const std::shared_ptr<grpc::Channel>& channel,
                         const RepartitionRequest& request,
                         const std::function<void(const RepartitionProgress&)>& on_progress);

// The parts of a report that the cluster determines: engine, machine, world_info and, under
// `regatta`, layout, device note and dummy weights.
PointReport ContextOf(const ClusterDescription& cluster);

}  // namespace regatta
