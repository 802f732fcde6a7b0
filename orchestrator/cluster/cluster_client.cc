// Cluster.Describe and what follows from it; see cluster_client.h.
#include "orchestrator/cluster/cluster_client.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/grpc_deadline.h"
#include "common/grpc_status.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "orchestrator/terminal/printable.h"
#include "proto/cluster.grpc.pb.h"
#include "proto/health.grpc.pb.h"

namespace regatta {
namespace {

bool IsReady(const ClusterDescription& cluster) {
  return cluster.groups_size() > 0 &&
         std::all_of(cluster.groups().begin(), cluster.groups().end(),
                     [](const GroupDescription& group) { return group.state() == "running"; });
}

std::string StatesOf(const ClusterDescription& cluster) {
  std::vector<std::string> states;
  for (const GroupDescription& group : cluster.groups()) {
    states.push_back(absl::StrCat("group ", group.group(), " ", group.state()));
  }
  return states.empty() ? "no group" : absl::StrJoin(states, ", ");
}

// Devices of one kind: "cpu", "cuda", "null" or "remote"; "mixed" otherwise, "" for none.
std::string KindOf(const ClusterDescription& cluster) {
  std::string kind;
  for (const PoolWorker& worker : cluster.workers()) {
    const std::string& other = worker.description().device_kind();
    if (!kind.empty() && kind != other) return "mixed";
    kind = other;
  }
  return kind;
}

void FillDeviceNote(const std::string& kind, RegattaInfo& info) {
  info.set_performance_figure(kind == "cuda" || kind == kRemoteDevice);
  if (kind == kRemoteDevice) {
    info.set_device_note(
        "a server behind HTTP: its devices and layout are not known; it counts as one "
        "GPU unless --gpus says how many there are");
  } else if (kind == "null") {
    info.set_device_note("null server, runs no model: not a performance figure");
  } else if (kind != "cuda") {
    info.set_device_note("CPU ranks, not a performance figure");
  }
}

void FillMachine(const ClusterDescription& cluster, PointReport& report) {
  std::set<std::string> names, hosts;
  uint64_t smallest_bytes = 0;
  for (const PoolWorker& worker : cluster.workers()) {
    const WorkerDescription& device = worker.description();
    names.insert(device.device_name());
    hosts.insert(device.host());
    if (smallest_bytes == 0 || device.memory_bytes() < smallest_bytes) {
      smallest_bytes = device.memory_bytes();
    }
  }
  const std::string kind = KindOf(cluster);
  const bool has_names = kind == "cuda" || kind == "null" || kind == kRemoteDevice;
  MachineInfo& machine = *report.mutable_machine();
  machine.set_name(has_names ? absl::StrJoin(names, ", ") : "CPU ranks");
  machine.set_memory(smallest_bytes / std::exp2(30));
  machine.set_host(absl::StrJoin(hosts, ", "));
  machine.set_cpus(std::thread::hardware_concurrency());
  FillDeviceNote(kind, *report.mutable_regatta());
}

void FillWorld(const ClusterDescription& cluster, WorldInfo& world) {
  const Layout& layout = cluster.layout();
  world.set_world_size(WorldSize(layout));
  if (KindOf(cluster) == kRemoteDevice) return;
  world.set_tp_size(std::max(1u, layout.attention_tp()));
  world.set_pp_size(std::max(1u, layout.pp()));
  world.set_ep_size(std::max(1u, layout.expert_ep()));
  world.set_dp_size(std::max(1u, layout.copies()));
  world.set_max_batch_size(cluster.limits().max_batch_size());
  world.set_max_num_tokens(cluster.limits().max_num_tokens());
  world.set_scheduling_policy("FCFS, preemption by recomputation");
  world.set_kv_cache_percentage(cluster.kv_cache_fraction());
}

}  // namespace

absl::StatusOr<ClusterDescription> DescribeCluster(const std::shared_ptr<grpc::Channel>& channel,
                                                   absl::Duration timeout) {
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  ClusterDescription description;
  const grpc::Status status =
      Cluster::NewStub(channel)->Describe(&context, ClusterDescribeRequest(), &description);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat("Cluster.Describe: ", FromGrpc(status).message()));
  }
  MakePrintable(description);
  return description;
}

absl::Status Repartition(const std::shared_ptr<grpc::Channel>& channel,
                         const RepartitionRequest& request,
                         const std::function<void(const RepartitionProgress&)>& on_progress) {
  // A repartition plans, drains its last steps and dissolves besides forming. The layout asked for
  // gets its time, and the old one as much when that fails.
  constexpr absl::Duration kPauseTimeout = absl::Minutes(2), kUsualTimeout = absl::Minutes(2);
  const absl::Duration form_timeout =
      request.timeout_ms() > 0 ? absl::Milliseconds(request.timeout_ms()) : kUsualTimeout;
  grpc::ClientContext context;
  SetDeadline(context, 2 * form_timeout + kPauseTimeout);
  const auto stream = Cluster::NewStub(channel)->Repartition(&context, request);
  for (RepartitionProgress progress; stream->Read(&progress);) on_progress(progress);
  return FromGrpc(stream->Finish());
}

absl::StatusOr<ClusterState> ReadClusterState(const std::shared_ptr<grpc::Channel>& channel,
                                              absl::Duration timeout) {
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  const auto stream = Cluster::NewStub(channel)->Watch(&context, WatchRequest());
  ClusterState state;
  const bool came = stream->Read(&state);
  context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (came) return state;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat("Cluster.Watch: ", status.error_message()));
}

absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout) {
  using grpc::health::v1::HealthCheckResponse;
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  HealthCheckResponse response;
  RETURN_IF_ERROR(
      FromGrpc(grpc::health::v1::Health::NewStub(channel)->Check(&context, {}, &response)));
  if (response.status() == HealthCheckResponse::SERVING) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "the server answers ", HealthCheckResponse::ServingStatus_Name(response.status())));
}

absl::StatusOr<ClusterDescription> AwaitReady(const std::shared_ptr<grpc::Channel>& channel,
                                              absl::Duration timeout,
                                              const std::function<absl::Status()>& check) {
  const absl::Time deadline = absl::Now() + timeout;
  std::string last_seen = "no answer yet";
  while (absl::Now() < deadline) {
    if (absl::Status status = check(); !status.ok()) return status;
    absl::StatusOr<ClusterDescription> cluster = DescribeCluster(channel, absl::Seconds(2));
    if (cluster.ok() && IsReady(*cluster)) return cluster;
    if (cluster.status().code() == absl::StatusCode::kUnimplemented) return cluster.status();
    last_seen = cluster.ok() ? StatesOf(*cluster) : std::string(cluster.status().message());
    absl::SleepFor(absl::Milliseconds(100));
  }
  return absl::DeadlineExceededError(absl::StrCat("the cluster is not ready after ",
                                                  absl::FormatDuration(timeout), ": ", last_seen));
}

PointReport ContextOf(const ClusterDescription& cluster) {
  PointReport report;
  EngineInfo& engine = *report.mutable_engine();
  engine.set_model(cluster.model_name());
  engine.set_model_path(cluster.model().path());
  const bool remote = KindOf(cluster) == kRemoteDevice;
  engine.set_backend(remote ? "openai" : "regatta");
  engine.set_version(cluster.version());
  engine.set_dtype(cluster.model().dtype());
  engine.set_kv_cache_dtype(cluster.model().kv_cache_dtype());
  engine.set_quantization(cluster.model().quantization());
  FillMachine(cluster, report);
  FillWorld(cluster, *report.mutable_world_info());
  report.mutable_regatta()->set_layout(remote ? "remote" : LayoutName(cluster.layout()));
  report.mutable_regatta()->set_dummy_weights(cluster.model().dummy_weights());
  report.mutable_regatta()->set_deterministic(cluster.deterministic());
  report.mutable_regatta()->set_dummy_router_skew(cluster.model().dummy_router_skew());
  return report;
}

}  // namespace regatta
