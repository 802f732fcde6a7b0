// See orchestrator_client.h.
#include "orchestrator/service/orchestrator_client.h"

#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/grpc_deadline.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/service/run_fetch.h"
#include "orchestrator/service/run_store.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kServiceConnectTimeout = absl::Seconds(10);
constexpr absl::Duration kServiceTimeout = absl::Seconds(30);
constexpr absl::Duration kSendTimeout = absl::Minutes(5);  // with up to 64 MiB of files
constexpr absl::Duration kCancelTimeout = absl::Minutes(2);
constexpr absl::Duration kFetchTimeout = absl::Hours(1);
constexpr absl::Duration kWatchTimeout = absl::Minutes(10);  // joined again after it

template <typename Response>
absl::StatusOr<Response> Answered(const grpc::Status& status, Response response) {
  if (!status.ok()) return FromGrpc(status);
  MakePrintable(response);  // others submitted what it tells of
  return response;
}

bool MayJoinAgain(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::Status NothingReadable(const std::string& id, absl::Duration patience) {
  return absl::UnavailableError(absl::StrCat(
      "the service has said nothing readable of run ", id, " for ", absl::FormatDuration(patience),
      ": is it of this version (`regatta --version` here and there)?"));
}

}  // namespace

absl::StatusOr<OrchestratorClient> OrchestratorClient::Dial(const ServiceAddress& address) {
  ASSIGN_OR_RETURN(const std::string target, AddressOfUrl(address.url, "--service"));
  const auto channel = Connect(target, address.tls, kServiceConnectTimeout);
  if (absl::IsUnavailable(channel.status())) {
    return absl::UnavailableError(absl::StrCat(
        channel.status().message(),
        "; `regatta orchestrator` starts a service, --service names one that runs elsewhere"));
  }
  RETURN_IF_ERROR(channel.status());
  return OrchestratorClient(Orchestrator::NewStub(*channel));
}

absl::StatusOr<RunSummary> OrchestratorClient::Start(const StartRunRequest& request) {
  grpc::ClientContext context;
  SetDeadline(context, kSendTimeout);
  RunSummary run;
  const grpc::Status status = stub_->Start(&context, request, &run);
  return Answered(status, std::move(run));
}

absl::StatusOr<RunSummary> OrchestratorClient::Cancel(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context, kCancelTimeout);
  CancelRunRequest request;
  request.set_id(id);
  RunSummary run;
  const grpc::Status status = stub_->Cancel(&context, request, &run);
  return Answered(status, std::move(run));
}

absl::StatusOr<ListRunsResponse> OrchestratorClient::List(uint32_t limit) {
  grpc::ClientContext context;
  SetDeadline(context, kServiceTimeout);
  ListRunsRequest request;
  request.set_limit(limit);
  ListRunsResponse runs;
  const grpc::Status status = stub_->List(&context, request, &runs);
  return Answered(status, std::move(runs));
}

absl::StatusOr<Comparison> OrchestratorClient::Compare(const CompareRunsRequest& request) {
  grpc::ClientContext context;
  SetDeadline(context, kServiceTimeout);
  Comparison comparison;
  const grpc::Status status = stub_->Compare(&context, request, &comparison);
  return Answered(status, std::move(comparison));
}

absl::Status OrchestratorClient::WatchOnce(WatchRunRequest& request,
                                           const std::function<void(const RunProgress&)>& see,
                                           RunSummary& last) {
  grpc::ClientContext context;
  SetDeadline(context, kWatchTimeout);
  const auto stream = stub_->Watch(&context, request);
  for (RunProgress progress; stream->Read(&progress);) {
    request.set_points_seen(request.points_seen() + progress.points_size());
    MakePrintable(progress);
    last = progress.run();
    see(progress);
  }
  return FromGrpc(stream->Finish());
}

absl::StatusOr<RunSummary> OrchestratorClient::Watch(
    const std::string& id, const std::function<void(const RunProgress&)>& see,
    absl::Duration patience) {
  WatchRunRequest request;
  request.set_id(id);
  RunSummary last;
  absl::Time alive = absl::Now();
  while (true) {
    const auto noted = [&](const RunProgress& progress) {
      alive = absl::Now();
      see(progress);
    };
    const absl::Status status = WatchOnce(request, noted, last);
    if (HasEnded(last.state())) return last;
    if (!status.ok() && !MayJoinAgain(status)) return status;
    if (absl::Now() - alive > patience) {
      return status.ok() ? NothingReadable(id, patience) : status;
    }
    absl::SleepFor(absl::Milliseconds(200));
  }
}

absl::StatusOr<int> OrchestratorClient::Fetch(const std::string& id, const std::string& to) {
  const std::string dir(absl::StripSuffix(to, "/"));
  std::error_code error;
  if (fs::exists(dir, error)) {
    return absl::AlreadyExistsError(absl::StrCat("'", dir, "' exists already: give another name"));
  }
  const std::string part = dir + ".part";
  fs::remove_all(part, error);
  const absl::Cleanup clean = [&] { fs::remove_all(part, error); };
  grpc::ClientContext context;
  SetDeadline(context, kFetchTimeout);
  FetchRunRequest request;
  request.set_id(id);
  const auto stream = stub_->Fetch(&context, request);
  FetchedFiles files(part);
  absl::Status written;
  for (FileChunk chunk; written.ok() && stream->Read(&chunk);) written = files.Add(chunk);
  if (!written.ok()) context.TryCancel();
  const absl::Status status = FromGrpc(stream->Finish());
  RETURN_IF_ERROR(written);
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(files.Finish());
  fs::rename(part, dir, error);
  if (error) return absl::UnavailableError(absl::StrCat("'", dir, "': ", error.message()));
  return files.count();
}

}  // namespace regatta
