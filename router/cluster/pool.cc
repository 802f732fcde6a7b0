// Calls to workers; see pool.h.
#include "router/cluster/pool.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/grpc_deadline.h"
#include "common/grpc_status.h"
#include "common/parallel.h"
#include "common/status_macros.h"
#include "common/take_over.h"
#include "common/version.h"
#include "proto/worker.grpc.pb.h"
#include "router/cluster/grpc_worker_group.h"

namespace regatta {
namespace {

constexpr absl::Duration kRetryInterval = absl::Milliseconds(200);
constexpr absl::Duration kConnectTimeout = absl::Seconds(60);  // of a communicator

// `status` of a call, with who, what and, at a deadline, how long.
absl::Status Named(const std::string& who, const char* call, absl::Duration timeout,
                   const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::ABORTED) {  // It is another router's, whatever for.
    return absl::AbortedError(absl::StrCat(who, " ", status.error_message()));
  }
  std::string message = absl::StrCat(who, ": ", call, " failed: ", status.error_message());
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    message = absl::StrCat(who, " did not answer ", call, " within ", absl::FormatDuration(timeout),
                           ": ", status.error_message());
  }
  return absl::Status(FromGrpc(status).code(), message);
}

grpc::ChannelArguments WorkerChannelArguments() {
  grpc::ChannelArguments arguments;
  // Workers restart; look for them often.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // One connection per pool and worker: two routers in one process must not share a fate.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

// The Form calls of one group: the first failure cancels the others.
class FormCalls {
 public:
  FormCalls(size_t ranks, const FormProgressSink& progress)
      : contexts_(ranks), formed_(ranks), progress_(progress) {}

  void Run(const RankEndpoint& rank, const FormRequest& request, absl::Duration timeout) {
    grpc::ClientContext& context = contexts_[rank.rank];
    SetDeadline(context, timeout);
    const auto stub = Worker::NewStub(rank.channel);
    const auto reader = stub->Form(&context, request);
    FormProgress progress;
    while (reader->Read(&progress)) {
      absl::MutexLock lock(&mutex_);
      if (progress.has_formed()) formed_[rank.rank] = progress.formed();
      if (progress_) progress_(rank, progress);
    }
    absl::Status status = Named(rank.Name(), "Form", timeout, reader->Finish());
    absl::MutexLock lock(&mutex_);
    if (status.ok() && formed_[rank.rank].kv_blocks() == 0) {
      status = absl::InternalError(absl::StrCat(rank.Name(), ": Form ended without KV blocks"));
    }
    if (status.ok() || !status_.ok()) return;
    status_ = status;
    for (grpc::ClientContext& other : contexts_) other.TryCancel();
  }

  absl::StatusOr<Formed> Result() {
    absl::MutexLock lock(&mutex_);
    if (!status_.ok()) return status_;
    for (size_t rank = 1; rank < formed_.size(); ++rank) {
      if (formed_[rank].kv_blocks() != formed_[0].kv_blocks()) {
        return absl::InternalError(absl::StrCat("ranks disagree on KV blocks: rank 0 has ",
                                                formed_[0].kv_blocks(), ", rank ", rank, " has ",
                                                formed_[rank].kv_blocks()));
      }
    }
    return formed_[0];
  }

 private:
  std::vector<grpc::ClientContext> contexts_;
  absl::Mutex mutex_;
  std::vector<Formed> formed_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  const FormProgressSink& progress_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Pool>> Pool::Create(const PoolOptions& options) {
  if (options.addresses.empty()) return absl::InvalidArgumentError("no worker is given");
  std::unique_ptr<Pool> pool(new Pool(options));
  std::set<std::string> known;
  for (const std::string& address : options.addresses) {
    if (!known.insert(address).second) {
      return absl::InvalidArgumentError(absl::StrCat("worker ", address, " is given twice"));
    }
    ASSIGN_OR_RETURN(auto credentials, MakeChannelCredentials(options.tls, address));
    pool->workers_.push_back(
        {address, grpc::CreateCustomChannel(address, credentials, WorkerChannelArguments())});
  }
  return pool;
}

absl::StatusOr<WorkerDescription> Pool::DescribeOne(const Worker& worker, absl::Duration timeout) {
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  WorkerDescription description;
  const grpc::Status status =
      regatta::Worker::NewStub(worker.channel)->Describe(&context, DescribeRequest(), &description);
  const std::string who = absl::StrCat("worker ", worker.address);
  RETURN_IF_ERROR(Named(who, "Describe", timeout, status));
  if (description.protocol_version() == kProtocolVersion) return description;
  return absl::FailedPreconditionError(
      absl::StrCat(who, " (version ", description.version(), ") speaks protocol ",
                   description.protocol_version(), ", this router ", kProtocolVersion));
}

std::vector<absl::StatusOr<WorkerDescription>> Pool::Describe(absl::Duration timeout, bool wait) {
  std::vector<absl::StatusOr<WorkerDescription>> answers(workers_.size());
  const absl::Time deadline = absl::Now() + timeout;
  InParallel(workers_.size(), [&](size_t i) {
    answers[i] = DescribeOne(workers_[i], timeout);
    // Asked again and again rather than once with patience: the last error says what is wrong.
    while (wait && !answers[i].ok() && absl::Now() + kRetryInterval < deadline) {
      absl::SleepFor(kRetryInterval);
      answers[i] = DescribeOne(workers_[i], deadline - absl::Now());
    }
  });
  return answers;
}

RankEndpoint Pool::Endpoint(const std::vector<size_t>& workers, size_t rank) const {
  const Worker& worker = workers_[workers[rank]];
  return {static_cast<uint32_t>(rank), worker.address, worker.channel};
}

absl::StatusOr<Formed> Pool::Form(const std::vector<size_t>& workers, FormRequest request,
                                  uint64_t max_message_bytes, absl::Duration timeout,
                                  const FormProgressSink& progress) {
  const RankEndpoint first = Endpoint(workers, 0);
  PrepareRequest prepare;
  prepare.set_group_epoch(request.group_epoch());
  prepare.set_world_size(workers.size());
  prepare.set_max_message_bytes(max_message_bytes);
  PrepareResponse prepared;
  const absl::Duration connect_timeout = std::min(timeout, kConnectTimeout);
  grpc::ClientContext context;
  SetDeadline(context, connect_timeout);
  const grpc::Status status =
      regatta::Worker::NewStub(first.channel)->Prepare(&context, prepare, &prepared);
  RETURN_IF_ERROR(Named(first.Name(), "Prepare", connect_timeout, status));

  request.set_communicator_id(prepared.communicator_id());
  request.set_timeout_ms(absl::ToInt64Milliseconds(connect_timeout));
  FormCalls calls(workers.size(), progress);
  InParallel(workers.size(), [&](size_t rank) {
    FormRequest own = request;
    own.set_rank(rank);
    calls.Run(Endpoint(workers, rank), own, timeout);
  });
  absl::StatusOr<Formed> formed = calls.Result();
  if (!formed.ok()) Dissolve(workers, request.group_epoch()).IgnoreError();
  return formed;
}

absl::Status Pool::Dissolve(const std::vector<size_t>& workers, uint64_t epoch, bool take_over) {
  std::vector<absl::Status> statuses(workers.size());
  InParallel(workers.size(), [&](size_t i) {
    const Worker& worker = workers_[workers[i]];
    grpc::ClientContext context;
    SetDeadline(context, options_.dissolve_timeout);
    if (take_over) context.AddMetadata(kTakeOverMetadata, "1");
    DissolveRequest request;
    request.set_group_epoch(epoch);
    DissolveResponse response;
    statuses[i] =
        Named(absl::StrCat("worker ", worker.address), "Dissolve", options_.dissolve_timeout,
              regatta::Worker::NewStub(worker.channel)->Dissolve(&context, request, &response));
  });
  for (absl::Status& status : statuses) RETURN_IF_ERROR(std::move(status));
  return absl::OkStatus();
}

std::unique_ptr<WorkerGroup> Pool::Connect(const std::vector<size_t>& workers, uint64_t epoch,
                                           bool on_device, std::shared_ptr<GroupMetrics> metrics) {
  GrpcWorkerGroupOptions options;
  options.epoch = epoch;
  options.metrics = std::move(metrics);
  options.heartbeat_timeout = options_.heartbeat_timeout;
  if (options.heartbeat_timeout == absl::ZeroDuration()) {
    options.heartbeat_timeout = on_device ? absl::Milliseconds(500) : absl::Seconds(3);
  }
  std::vector<RankEndpoint> ranks;
  for (size_t rank = 0; rank < workers.size(); ++rank) ranks.push_back(Endpoint(workers, rank));
  return std::make_unique<GrpcWorkerGroup>(options, std::move(ranks));
}

}  // namespace regatta
