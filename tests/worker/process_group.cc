// Worker processes and their Run streams; see process_group.h.
#include "tests/worker/process_group.h"

#include <grpcpp/grpcpp.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/bounded_queue.h"
#include "common/check.h"
#include "common/grpc_status.h"
#include "proto/worker.grpc.pb.h"

namespace regatta {
class ProcessGroup::Impl {
 public:
  Impl(const GroupOptions& options, const std::vector<std::string>& addresses, uint64_t epoch)
      : options(options), epoch(epoch) {
    for (const std::string& address : addresses) {
      ranks.push_back(std::make_unique<Rank>());
      ranks.back()->stub =
          Worker::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    }
  }

  ~Impl() {
    for (auto& rank : ranks) rank->context.TryCancel();
    for (auto& rank : ranks) {
      if (rank->reader.joinable()) rank->reader.join();
    }
  }

  absl::Status Form() {
    grpc::ClientContext context;
    PrepareRequest prepare;
    prepare.set_group_epoch(epoch);
    prepare.set_world_size(static_cast<uint32_t>(ranks.size()));
    PrepareResponse prepared;
    absl::Status status = FromGrpc(ranks[0]->stub->Prepare(&context, prepare, &prepared));
    if (!status.ok()) return status;
    std::vector<absl::Status> statuses(ranks.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < ranks.size(); ++i) {
      threads.emplace_back([&, i] { statuses[i] = FormRank(i, prepared.communicator_id()); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& one : statuses) {
      if (!one.ok()) return one;
    }
    for (size_t i = 0; i < ranks.size(); ++i) OpenStream(i);
    return absl::OkStatus();
  }

  struct Rank {
    std::unique_ptr<Worker::Stub> stub;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<RunRequest, RunResponse>> stream;
    std::thread reader;
    BoundedQueue<absl::StatusOr<RunResponse>> responses{1024};
  };

  absl::Status FormRank(size_t index, const std::string& id) {
    FormRequest request = ToFormRequest(options, static_cast<uint32_t>(index), id);
    request.set_group_epoch(epoch);
    grpc::ClientContext context;
    const auto reader = ranks[index]->stub->Form(&context, request);
    for (FormProgress progress; reader->Read(&progress);) {
      if (index == 0 && progress.has_formed()) formed = progress.formed();
    }
    return FromGrpc(reader->Finish());
  }

  void OpenStream(size_t index) {
    Rank& rank = *ranks[index];
    rank.stream = rank.stub->Run(&rank.context);
    RunRequest start;
    start.mutable_start()->set_group_epoch(epoch);
    start.mutable_start()->set_rank(static_cast<uint32_t>(index));
    rank.stream->Write(start);
    rank.reader = std::thread([&rank, index] {
      for (RunResponse response; rank.stream->Read(&response);) {
        if (!response.has_heartbeat()) CHECK(rank.responses.TryPush(response));
      }
      absl::Status status = FromGrpc(rank.stream->Finish());
      if (status.ok()) status = absl::UnavailableError("the stream has ended");
      CHECK(rank.responses.TryPush(
          absl::Status(status.code(), absl::StrCat("rank ", index, ": ", status.message()))));
    });
  }

  const GroupOptions options;
  const uint64_t epoch;
  std::vector<std::unique_ptr<Rank>> ranks;
  Formed formed;
};

ProcessGroup::ProcessGroup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessGroup::~ProcessGroup() = default;

absl::StatusOr<std::unique_ptr<ProcessGroup>> ProcessGroup::Form(
    const GroupOptions& options, const std::vector<std::string>& workers, uint64_t epoch) {
  auto impl = std::make_unique<Impl>(options, workers, epoch);
  if (absl::Status status = impl->Form(); !status.ok()) return status;
  return std::unique_ptr<ProcessGroup>(new ProcessGroup(std::move(impl)));
}

absl::Status ProcessGroup::Dissolve() {
  absl::Status first;
  for (auto& rank : impl_->ranks) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
    DissolveRequest request;
    request.set_group_epoch(impl_->epoch);
    DissolveResponse response;
    first.Update(FromGrpc(rank->stub->Dissolve(&context, request, &response)));
  }
  return first;
}

const GroupOptions& ProcessGroup::options() const { return impl_->options; }
const Formed& ProcessGroup::formed() const { return impl_->formed; }

void ProcessGroup::Dispatch(const StepPlan& plan) {
  RunRequest request;
  request.set_plan(plan.SerializeAsString());
  for (auto& rank : impl_->ranks) rank->stream->Write(request);
}

void ProcessGroup::SendMasks(const SampleInput& input) {
  RunRequest request;
  *request.mutable_sample_input() = input;
  for (auto& rank : impl_->ranks) rank->stream->Write(request);
}

absl::StatusOr<StepResult> ProcessGroup::Next(absl::Duration timeout) {
  absl::StatusOr<StepResult> result = absl::InternalError("no rank sampled");
  for (auto& rank : impl_->ranks) {
    const auto response = rank->responses.Pop(timeout);
    if (!response.has_value()) return absl::DeadlineExceededError("a rank did not answer");
    if (!response->ok()) return response->status();
    if ((*response)->has_result()) result = (*response)->result();
  }
  return result;
}

}  // namespace regatta
