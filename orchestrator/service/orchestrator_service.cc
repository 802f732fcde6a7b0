// See orchestrator_service.h.
#include "orchestrator/service/orchestrator_service.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/journal.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/compare/comparison.h"
#include "orchestrator/service/run_paths.h"
#include "orchestrator/service/run_text.h"

namespace regatta {
namespace {

constexpr int kMaxStreams = 64;
constexpr absl::Duration kHeartbeat = absl::Seconds(10);
constexpr absl::Duration kSlice = absl::Milliseconds(500);  // until a client's leaving is seen
constexpr uint32_t kDefaultList = 100, kMaxList = 1000;
constexpr size_t kChunkBytes = 256 << 10;

// A client that goes silent must not hold a thread for ever.
absl::Status CheckDeadline(const grpc::ServerContext& context) {
  constexpr std::chrono::hours kLongest(24);
  if (context.deadline() <= std::chrono::system_clock::now() + kLongest) return absl::OkStatus();
  return absl::InvalidArgumentError("the call needs a deadline of at most 24 h");
}

// What remains of `results` beyond the first `seen` whole points.
void AddPoints(const SweepReport& results, uint32_t seen, uint32_t whole, RunProgress& progress) {
  const auto& runs = MeasuredRuns(results);
  const int end = std::min(static_cast<int>(whole), runs.size());
  for (int i = static_cast<int>(seen); i < end; ++i) *progress.add_points() = runs[i];
}

}  // namespace

grpc::Status OrchestratorService::Start(grpc::ServerContext* context,
                                        const StartRunRequest* request, RunSummary* response) {
  if (const absl::Status status = CheckDeadline(*context); !status.ok()) return ToGrpc(status);
  absl::StatusOr<RunSummary> run = book_.Add(*request);
  if (run.ok()) *response = *std::move(run);
  return ToGrpc(run.status());
}

grpc::Status OrchestratorService::Watch(grpc::ServerContext* context,
                                        const WatchRunRequest* request,
                                        grpc::ServerWriter<RunProgress>* writer) {
  return ToGrpc(WatchRun(*context, *request, *writer));
}

grpc::Status OrchestratorService::Cancel(grpc::ServerContext* context,
                                         const CancelRunRequest* request, RunSummary* response) {
  absl::StatusOr<RunSummary> run = CancelRun(*context, request->id());
  if (run.ok()) *response = *std::move(run);
  return ToGrpc(run.status());
}

grpc::Status OrchestratorService::List(grpc::ServerContext* context, const ListRunsRequest* request,
                                       ListRunsResponse* response) {
  if (const absl::Status status = CheckDeadline(*context); !status.ok()) return ToGrpc(status);
  if (request->limit() > kMaxList) {
    return ToGrpc(absl::InvalidArgumentError(
        absl::StrCat("limit ", request->limit(), " is over ", kMaxList)));
  }
  const auto runs = book_.Newest(request->limit() == 0 ? kDefaultList : request->limit());
  if (!runs.ok()) return ToGrpc(runs.status());
  response->mutable_runs()->Add(runs->begin(), runs->end());
  return grpc::Status::OK;
}

grpc::Status OrchestratorService::Fetch(grpc::ServerContext* context,
                                        const FetchRunRequest* request,
                                        grpc::ServerWriter<FileChunk>* writer) {
  return ToGrpc(FetchRun(*context, request->id(), *writer));
}

grpc::Status OrchestratorService::Compare(grpc::ServerContext* context,
                                          const CompareRunsRequest* request, Comparison* response) {
  if (const absl::Status status = CheckDeadline(*context); !status.ok()) return ToGrpc(status);
  absl::StatusOr<Comparison> comparison = CompareTwo(*request);
  if (comparison.ok()) *response = *std::move(comparison);
  return ToGrpc(comparison.status());
}

absl::Status OrchestratorService::WatchRun(const grpc::ServerContext& context,
                                           const WatchRunRequest& request,
                                           grpc::ServerWriter<RunProgress>& writer) {
  RETURN_IF_ERROR(CheckDeadline(context));
  const absl::Cleanup leave = [this] { --streams_; };
  if (++streams_ > kMaxStreams) {
    return absl::ResourceExhaustedError(absl::StrCat(kMaxStreams, " streams are open already"));
  }
  uint64_t version = 0;
  uint32_t seen = request.points_seen();
  absl::Time due = absl::Now();
  while (!context.IsCancelled()) {
    ASSIGN_OR_RETURN(const RunView view, book_.Await(request.id(), version, kSlice));
    if (book_.closed()) return absl::UnavailableError("the service is ending; join again");
    if (view.version == version && absl::Now() < due) continue;
    RunProgress progress;
    *progress.mutable_run() = view.run;
    progress.set_line(view.line);
    if (view.run.points_done() > seen) {
      ASSIGN_OR_RETURN(const SweepReport results, ResultsOf(view.run));
      AddPoints(results, seen, view.run.points_done(), progress);
      seen = view.run.points_done();
    }
    version = view.version;
    due = absl::Now() + kHeartbeat;
    if (!writer.Write(progress) || HasEnded(view.run.state())) return absl::OkStatus();
  }
  return absl::CancelledError("the client left");
}

absl::StatusOr<RunSummary> OrchestratorService::CancelRun(const grpc::ServerContext& context,
                                                          const std::string& id) {
  RETURN_IF_ERROR(CheckDeadline(context));
  ASSIGN_OR_RETURN(RunSummary run, book_.Cancel(id));
  uint64_t version = 0;
  while (!HasEnded(run.state())) {
    if (context.IsCancelled())
      return absl::CancelledError("the client left; the run ends all the same");
    if (book_.closed()) return absl::UnavailableError("the service is ending");
    ASSIGN_OR_RETURN(RunView view, book_.Await(run.id(), version, kSlice));
    version = view.version;
    run = std::move(view.run);
  }
  return run;
}

absl::Status OrchestratorService::FetchRun(const grpc::ServerContext& context,
                                           const std::string& id,
                                           grpc::ServerWriter<FileChunk>& writer) {
  RETURN_IF_ERROR(CheckDeadline(context));
  const absl::Cleanup leave = [this] { --streams_; };
  if (++streams_ > kMaxStreams) {
    return absl::ResourceExhaustedError(absl::StrCat(kMaxStreams, " streams are open already"));
  }
  ASSIGN_OR_RETURN(const RunSummary run, book_.Get(id));
  const std::optional<std::string> directory =
      RunPaths(book_.options().state_dir, run.id()).Results();
  if (!directory.has_value()) {
    return absl::NotFoundError(NoResultsText(run));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesUnder(*directory));
  std::string buffer(kChunkBytes, '\0');
  for (const std::string& path : files) {
    std::ifstream file(*directory + "/" + path, std::ios::binary);
    if (!file.is_open()) continue;  // the run has dropped it since
    FileChunk chunk;
    chunk.set_path(path);
    while (!chunk.last()) {
      file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      if (file.bad()) return absl::UnavailableError(absl::StrCat("cannot read '", path, "'"));
      chunk.set_data(buffer.data(), static_cast<size_t>(file.gcount()));
      chunk.set_last(!file);
      if (context.IsCancelled() || !writer.Write(chunk)) {
        return absl::CancelledError("the client left");
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Comparison> OrchestratorService::CompareTwo(const CompareRunsRequest& request) {
  const std::vector<std::string> fail_if(request.fail_if().begin(), request.fail_if().end());
  const double margin = request.has_margin() ? request.margin() : ComparisonOptions().margin;
  ASSIGN_OR_RETURN(const ComparisonOptions options, ComparisonOptionsOf(margin, fail_if));
  ASSIGN_OR_RETURN(const RunSummary first, book_.Get(request.first()));
  ASSIGN_OR_RETURN(const RunSummary second, book_.Get(request.second()));
  ComparedRun a{"run " + first.id(), {}}, b{"run " + second.id(), {}};
  ASSIGN_OR_RETURN(a.sweep, ResultsOf(first));
  ASSIGN_OR_RETURN(b.sweep, ResultsOf(second));
  return CompareRuns(a, b, options);
}

absl::StatusOr<SweepReport> OrchestratorService::ResultsOf(const RunSummary& run) const {
  const std::optional<std::string> directory =
      RunPaths(book_.options().state_dir, run.id()).Results();
  if (directory.has_value()) return LoadResults(*directory);
  return absl::NotFoundError(NoResultsText(run));
}

}  // namespace regatta
