// Pool: the worker processes the router knows, and the calls that make groups of them and take them
// apart. Every call has a deadline; every error names the worker. Blocking; decides nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/credentials.h"
#include "proto/worker.pb.h"
#include "router/cluster/rank_stream.h"
#include "router/metrics/group_metrics.h"
#include "router/worker_group.h"

namespace regatta {

struct PoolOptions {
  std::vector<std::string> addresses;  // host:port
  TlsOptions tls;
  absl::Duration dissolve_timeout = absl::Seconds(10);
  absl::Duration heartbeat_timeout =
      absl::ZeroDuration();  // zero: 500 ms on devices, 3 s on CPU ranks, which share their cores
};

// A rank of a group to be said something. Called from foreign threads, of different groups at once.
using FormProgressSink = std::function<void(const RankEndpoint& rank, const FormProgress&)>;

class Pool {
 public:
  // INVALID_ARGUMENT: no address, or one twice. Connects lazily.
  static absl::StatusOr<std::unique_ptr<Pool>> Create(const PoolOptions& options);

  size_t size() const { return workers_.size(); }
  const std::string& address(size_t worker) const { return workers_[worker].address; }

  // Asks all workers at once; one answer per worker, in order. `wait`: keep trying to connect until
  // the timeout. UNAVAILABLE or DEADLINE_EXCEEDED: no answer; FAILED_PRECONDITION: another protocol
  // version.
  std::vector<absl::StatusOr<WorkerDescription>> Describe(absl::Duration timeout, bool wait);

  // Makes one group of `workers` (indices, in rank order). `request` is the same for all ranks, but
  // for rank and communicator_id, which are filled in here; `max_message_bytes` as in Prepare. All
  // ranks form in parallel; when one fails the others are cancelled and dissolved, and its error is
  // returned.
  absl::StatusOr<Formed> Form(const std::vector<size_t>& workers, FormRequest request,
                              uint64_t max_message_bytes, absl::Duration timeout,
                              const FormProgressSink& progress);

  // Takes the ranks back, all in parallel; the first error (others are tried all the same). ABORTED
  // names a worker that serves another router, unless `take_over`.
  absl::Status Dissolve(const std::vector<size_t>& workers, uint64_t epoch, bool take_over = false);

  // The streams of a group that Form made; not yet opened. What its ranks tell goes to `metrics`,
  // which may be null.
  std::unique_ptr<WorkerGroup> Connect(const std::vector<size_t>& workers, uint64_t epoch,
                                       bool on_device,
                                       std::shared_ptr<GroupMetrics> metrics = nullptr);

 private:
  struct Worker {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };
  static absl::StatusOr<WorkerDescription> DescribeOne(const Worker& worker,
                                                       absl::Duration timeout);
  explicit Pool(PoolOptions options) : options_(std::move(options)) {}
  RankEndpoint Endpoint(const std::vector<size_t>& workers, size_t rank) const;

  const PoolOptions options_;
  std::vector<Worker> workers_;
};

}  // namespace regatta
