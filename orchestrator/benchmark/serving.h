// The cluster that a command serves with or measures: launched here, or running elsewhere behind
// --url.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/cluster/launcher.h"
#include "orchestrator/grpc/grpc_target.h"
#include "orchestrator/openai/openai_target.h"
#include "orchestrator/workload/length_check.h"
#include "proto/cluster.pb.h"

namespace regatta {

struct Serving {
  std::unique_ptr<LocalCluster> local;     // null with --url
  std::shared_ptr<grpc::Channel> channel;  // null for a server behind HTTP
  std::optional<OpenAiServer> http;        // such a server
  std::string address;                     // host:port behind `channel`
  TlsOptions tls;                          // of `channel`
  ClusterDescription description;

  // OK when its limits, where they are known, take every request of `dataset`; else as of
  // CheckRequestLengths and CheckPromptLengths.
  absl::Status CheckLengths(const Dataset& dataset) const;
  // What people know it by: its address, or the cluster that was launched here.
  std::string Name() const;
  // OK while the cluster can answer.
  absl::Status Check() const;
  // Asks again what serves. What was known stays where nothing answers within 5 s, and over HTTP.
  void Refresh();
  // `count` targets that send requests there, each on connections of its own; `mode` is heeded
  // over gRPC.
  absl::StatusOr<std::vector<std::unique_ptr<Target>>> MakeTargets(StreamMode mode,
                                                                   uint32_t count) const;
};

// Means that default limits are derived from.
struct WorkloadMeans {
  uint32_t input = 0;
  uint32_t output = 0;
};

// Layout of a cluster to be launched: flags over the configuration file over one. Keys of the file
// that have no effect are named in `notes`, a line each. INVALID_ARGUMENT names the dimension that
// does not divide and the layouts that fit the model, or a max_seq_len over its context.
absl::StatusOr<Layout> LayoutToLaunch(const ClusterOptions& options, std::ostream& notes);

// The same of a cluster that is to be launched so, as far as it is known beforehand: the flag over
// the configuration file over the model's context.
absl::Status CheckLengthsToLaunch(const ClusterOptions& options, const Dataset& dataset);

// Workers that are started for `layout`: its ranks, or all of the pool.
uint32_t WorkersToLaunch(const ClusterOptions& options, const Layout& layout);

// What LocalCluster needs to launch `options` with `layout`, logging to `log_dir`. Of the router's
// arguments those that the options determine; the caller appends its own.
LaunchOptions LaunchOptionsOf(const ClusterOptions& options, const Layout& layout,
                              const std::string& log_dir);

// Launches the cluster of a benchmark, whose logs go to `log_dir`. Call from the main thread
// (child_process.h).
absl::StatusOr<Serving> LaunchBenchmarkCluster(const BenchmarkOptions& options,
                                               const Layout& layout, const WorkloadMeans& means,
                                               const std::string& log_dir,
                                               const std::atomic<bool>& stop);

// Connects to the router, or to the OpenAI-compatible server, at options.url and awaits that it
// serves.
absl::StatusOr<Serving> ConnectToCluster(const BenchmarkOptions& options,
                                         const std::atomic<bool>& stop);

}  // namespace regatta
