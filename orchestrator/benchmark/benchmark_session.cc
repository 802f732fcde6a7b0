// Prepare, measure a load, save, report; see benchmark_session.h.
#include "orchestrator/benchmark/benchmark_session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/atomic_file.h"
#include "common/check.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "orchestrator/benchmark/benchmark_input.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/benchmark/figures.h"
#include "orchestrator/benchmark/journal.h"
#include "orchestrator/benchmark/layout_change.h"
#include "orchestrator/benchmark/load_shape.h"
#include "orchestrator/benchmark/point_warnings.h"
#include "orchestrator/benchmark/protocol.h"
#include "orchestrator/benchmark/stored_run.h"
#include "orchestrator/benchmark/survival.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/cluster/cluster_text.h"
#include "orchestrator/cluster/point_timeline.h"
#include "orchestrator/cluster/remote_gpu_meter.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/doctor/finding.h"
#include "orchestrator/doctor/gpu_meter.h"
#include "orchestrator/load/client_verdict.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/offered_load.h"
#include "orchestrator/terminal/printable.h"
#include "orchestrator/terminal/status_line.h"

namespace regatta {
namespace {

bool RunsOnGpus(const ClusterDescription& cluster) {
  return std::any_of(cluster.workers().begin(), cluster.workers().end(), [](const auto& worker) {
    return worker.description().device_kind() == "cuda";
  });
}

// Those that are known beforehand, else the largest that may come.
std::vector<LoadPoint> KnownPoints(const RunRecord& record) {
  if (record.plan.empty()) return record.foreseen;
  std::vector<LoadPoint> points;
  for (const PlannedLoad& load : record.plan) points.push_back(load.point);
  return points;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BenchmarkSession>> BenchmarkSession::Open(
    BenchmarkOptions options, RunRecord record, const std::atomic<bool>& stop) {
  ApplyProtocol(options);
  std::unique_ptr<BenchmarkSession> session(
      new BenchmarkSession(std::move(options), std::move(record), stop));
  RETURN_IF_ERROR(session->Prepare());
  return session;
}

absl::Status BenchmarkSession::Prepare() {
  RETURN_IF_ERROR(ParseStreamMode(options_.stream_mode).status());
  RETURN_IF_ERROR(CheckFlagsOfUrl(options_));
  RETURN_IF_ERROR(CheckFigures(options_));
  for (const std::string& format : options_.exports) {
    RETURN_IF_ERROR(CheckExportFormat(format));
  }
  RETURN_IF_ERROR(CheckTextFilePath("--report-json", options_.report_json));
  for (const LoadPoint& point : record_.foreseen) {
    RETURN_IF_ERROR(CheckLoadShape(options_.load, point));
  }
  ASSIGN_OR_RETURN(const uint32_t prompts, PromptsOf(KnownPoints(record_), options_));
  RETURN_IF_ERROR(TakeModel(options_, stop_));
  ASSIGN_OR_RETURN(dataset_, LoadBenchmarkDataset(options_, prompts));
  for (const LoadPoint& point : record_.foreseen) {
    RETURN_IF_ERROR(CheckSchedule(options_, dataset_, point.requests));
  }
  RETURN_IF_ERROR(StartServing());
  if (record_.once_served) RETURN_IF_ERROR(record_.once_served(*this));
  RETURN_IF_ERROR(serving_.CheckLengths(dataset_));
  RETURN_IF_ERROR(ConnectClient());
  workload_.emplace(dataset_, WorkloadOptionsOf(options_, dataset_));
  return BeginSweep();
}

absl::Status BenchmarkSession::ConnectClient() {
  ASSIGN_OR_RETURN(const StreamMode mode, ParseStreamMode(options_.stream_mode));
  ASSIGN_OR_RETURN(client_,
                   BenchmarkClient::Connect(options_, record_.foreseen, serving_, mode, stop_));
  return absl::OkStatus();
}

// A new one, or the whole part of one that was begun. On the disk before anything is measured.
absl::Status BenchmarkSession::BeginSweep() {
  const RunIdentity identity = IdentityOf(record_.command, record_.flags, record_.plan, options_,
                                          dataset_, serving_.description);
  if (record_.resume.empty()) {
    sweep_ = NewSweep();
    *sweep_.mutable_journal()->mutable_identity() = identity;
  } else {
    ASSIGN_OR_RETURN(sweep_, TakeUp(*directory_, identity, record_.re_forms));
    for (const PointReport& run : MeasuredRuns(sweep_)) {
      failed_requests_ += run.regatta().failed_requests();
    }
    std::cerr << "Going on in " << record_.resume << ": " << sweep_.journal().whole_points();
    if (!record_.plan.empty()) std::cerr << " of " << record_.plan.size();
    std::cerr << " points are whole\n";
  }
  whole_ = sweep_;
  step_ = first_step_ = whole_loads();
  RETURN_IF_ERROR(directory_->WriteResults(sweep_));
  directory_->DropWhole();
  return absl::OkStatus();
}

SweepReport BenchmarkSession::NewSweep() const {
  SweepReport sweep;
  sweep.set_schema(kSweepSchema);
  sweep.set_command(record_.command_line);
  sweep.set_working_directory(WorkingDirectory());
  sweep.set_configuration(record_.configuration);
  sweep.set_created_utc(UtcTimestamp());
  sweep.set_version(kVersion);
  sweep.set_commit(BuildCommit());
  sweep.set_dataset_path(dataset_.path);
  sweep.set_insecure(serving_.description.insecure() || options_.tls.insecure);
  *sweep.mutable_environment() = DescribeEnvironment(serving_.description);
  sweep.mutable_environment()->mutable_findings()->Add(findings_.begin(), findings_.end());
  DescribeGpus(facts_, *sweep.mutable_environment());
  return sweep;
}

absl::StatusOr<RunDirectory> BenchmarkSession::MakeDirectory(const std::string& model,
                                                             const Layout& layout) const {
  if (!record_.resume.empty()) return RunDirectory::Open(record_.resume);
  if (!record_.directory.empty()) return RunDirectory::CreateAt(record_.directory);
  return RunDirectory::Create(options_.output, model,
                              record_.name.empty() ? LayoutName(layout) : record_.name);
}

// The run's directory exists before the cluster does, for its logs.
absl::Status BenchmarkSession::StartServing() {
  if (!options_.url.empty()) {
    ASSIGN_OR_RETURN(serving_, ConnectToCluster(options_, stop_));
    const ClusterDescription& cluster = serving_.description;
    if (!serving_.http) {
      RETURN_IF_ERROR(CheckServedModel(options_, cluster, std::cerr));
      RETURN_IF_ERROR(CheckEosId(options_, cluster.vocab_size(), cluster.model_name()));
      RETURN_IF_ERROR(CheckTokenIds(dataset_, cluster.vocab_size(), cluster.model_name()));
    }
    ASSIGN_OR_RETURN(directory_, MakeDirectory(cluster.model_name(), cluster.layout()));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Layout layout, LayoutToLaunch(options_.cluster, std::cerr));
  RETURN_IF_ERROR(CheckLengthsToLaunch(options_.cluster, dataset_));
  ASSIGN_OR_RETURN(directory_, MakeDirectory(ModelNameOf(options_.cluster.model), layout));
  return LaunchHere(layout);
}

absl::Status BenchmarkSession::LaunchHere(const Layout& layout) {
  const uint32_t workers = WorkersToLaunch(options_.cluster, layout);
  std::cerr << "Starting " << workers << (workers == 1 ? " worker" : " workers")
            << " and a router (" << LayoutName(layout) << "); logs in " << directory_->path()
            << "\n";
  // Before the ranks are: later they would be found as other users of the GPUs.
  DoctorFacts facts;
  if (options_.cluster.device != "cpu") facts = ReadDoctorFacts(workers);
  ASSIGN_OR_RETURN(serving_, LaunchBenchmarkCluster(options_, layout, MeansOf(options_, dataset_),
                                                    directory_->path(), stop_));
  if (RunsOnGpus(serving_.description)) TakeFindings(std::move(facts));
  return absl::OkStatus();
}

// Says what may spoil the figures; everything found goes into the results.
void BenchmarkSession::TakeFindings(DoctorFacts facts) {
  facts_ = std::move(facts);
  findings_ = Diagnose(facts_);
  for (const HostFinding& finding : findings_) {
    if (finding.level() == kOk || finding.level() == kNote) continue;
    std::cerr << "! " << finding.level() << ": " << FindingLine(finding) << "\n";
  }
}

absl::Status BenchmarkSession::Reform(const RepartitionRequest& request) {
  if (serving_.channel == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--url ", options_.url, " is of HTTP; layouts are changed over grpc://HOST:PORT"));
  }
  std::string last;
  const auto show = [&](const RepartitionProgress& progress) {
    const std::string text = RepartitionText(progress);
    if (text != last) std::cerr << text << std::flush;
    last = text;
  };
  const absl::Status reformed = Repartition(serving_.channel, request, show);
  // Also when it was refused: what serves now is asked, not assumed.
  ASSIGN_OR_RETURN(
      serving_.description,
      AwaitReady(serving_.channel, absl::Seconds(options_.cluster.launch_timeout_s), [&] {
        return stop_.load() ? absl::CancelledError("interrupted") : absl::OkStatus();
      }));
  return reformed;
}

absl::Status BenchmarkSession::Relaunch(const ClusterOptions& cluster) {
  if (!options_.url.empty()) {
    return absl::FailedPreconditionError(
        "--url: a cluster that runs elsewhere is not started anew");
  }
  ASSIGN_OR_RETURN(const Layout layout, LayoutToLaunch(cluster, std::cerr));
  client_.reset();
  serving_ = Serving();
  options_.cluster = cluster;
  noted_dead_process_ = false;
  RETURN_IF_ERROR(LaunchHere(layout));
  return ConnectClient();
}

// The load's place in the journal, where it is put unless it was planned.
const PlannedPoint& BenchmarkSession::Plan(const PlannedLoad& load) {
  RunIdentity& identity = *sweep_.mutable_journal()->mutable_identity();
  const int step = static_cast<int>(step_);
  if (record_.plan.empty()) {  // one that was not kept made place for another
    identity.mutable_planned()->DeleteSubrange(step, identity.planned_size() - step);
  }
  if (step == identity.planned_size()) {
    const PlannedPoint* previous = step > 0 ? &identity.planned(step - 1) : nullptr;
    *identity.add_planned() = PlanAfter(previous, load, options_);
  }
  const PlannedPoint& planned = identity.planned(step);
  CHECK(planned.concurrency() == load.point.concurrency &&
        planned.requests() == load.point.requests && planned.repeat() == load.repeat);
  return planned;
}

std::string BenchmarkSession::LabelOf(const PlannedLoad& load) const {
  std::string label = absl::StrCat("[", step_ + 1);
  if (!record_.plan.empty()) absl::StrAppend(&label, "/", record_.plan.size());
  absl::StrAppend(&label, "] ", title_, title_.empty() ? "" : ", ");
  return absl::StrCat(label, LoadName(LoadOf(options_.load, load.point)));
}

Batch BenchmarkSession::WarmUpAt(uint32_t requests) {
  Batch warm_up = workload_->Deal(requests);
  return options_.protocol == kInferenceMaxProtocol ? workload_->Repeat(requests) : warm_up;
}

// The load that was cut short may have come to this server before, in part; a cluster of our own
// has started afresh.
bool BenchmarkSession::PartlySent() const {
  return !options_.url.empty() && !record_.resume.empty() && step_ == first_step_;
}

// Each load, and its warm-up, has a salt; one that came before has another each time.
void BenchmarkSession::SaltFor(bool warm_up) {
  constexpr uint32_t kSaltsPerLife = 1u << 20;
  const uint32_t lives = PartlySent() ? sweep_.journal().resumed() : 0;
  workload_->SaltFor(2 * static_cast<uint32_t>(step_) + !warm_up + kSaltsPerLife * lives);
}

// A trace is replayed from its first request, and trtllm-bench sends the same each time; else data
// sets are dealt from where they stand.
Batch BenchmarkSession::DealAt(const LoadPoint& point) {
  SaltFor(/*warm_up=*/false);
  if (options_.load.fixed_schedule || options_.protocol == kTrtllmBenchProtocol) {
    workload_->Seek(0);
  }
  return workload_->Deal(point.requests);
}

absl::Status BenchmarkSession::Measure(const PlannedLoad& load,
                                       absl::Span<const PlannedLoad> after) {
  const LoadPoint& point = load.point;
  workload_->Seek(static_cast<uint64_t>(Plan(load).first_prompt()));
  SaltFor(/*warm_up=*/true);
  longer_ = load.longer;
  WarmUp(load, after);
  if (stop_.load()) return absl::OkStatus();
  serving_.Refresh();  // others may have given it another layout
  const ClusterDescription before = serving_.description;
  PointReport context = Context(load);
  const Batch batch = DealAt(point);
  LoadOptions shape = LoadOptionsOf(options_.load, point, batch, options_.random_seed);
  shape.threads = ClientThreads(options_.load, point);
  GpuMeter meter(kNvmlLibrary, facts_.gpus.ok() ? *facts_.gpus : GpuInventory());
  RemoteGpuMeter remote_meter(options_.url.empty() ? nullptr : serving_.channel);
  ClusterMonitor monitor(serving_.channel);  // last: what it watches is the load alone
  LoadResult result = Load(LabelOf(load), batch, std::move(shape), monitor, Ahead(point, after));
  PointTimeline timeline = monitor.Finish(result.start_ns, *context.mutable_regatta());
  meter.Finish(result.start_ns, *context.mutable_regatta(), timeline);
  remote_meter.Finish(before, result.start_ns, *context.mutable_regatta(), timeline);
  serving_.Refresh();
  context.mutable_regatta()->set_layout_change(LayoutChange(before, serving_.description));
  context.mutable_regatta()->set_cut_short(result.cut_short);
  *context.mutable_regatta()->mutable_client() = std::move(result.client);
  PointReport report = CompletePoint(std::move(context), result.samples);
  NoteOfferedLoad(result.samples.requests, timeline, *report.mutable_regatta());
  Judge(point, batch, result, report);
  MakePrintable(report);  // warnings have the server's words
  Show(report);
  // Where it cannot be measured anew by --resume, something is better than nothing.
  const bool keeps = !GoesOn(record_.command);
  const absl::Status alive =
      result.interrupted ? absl::OkStatus() : CheckSurvival(report, serving_, keeps);
  if (!alive.ok() && !keeps) return alive;
  failed_requests_ += report.regatta().failed_requests();
  KeepRun(options_, report, result.interrupted, sweep_);
  timeline.set_run_number(report.regatta().run_number());
  AddGapQuantiles(result.samples, timeline);
  RETURN_IF_ERROR(
      Save(std::move(result.samples.requests), timeline, alive.ok() && !result.interrupted));
  if (alive.ok()) PrintEstimate(after, SpeedsOf(sweep_));
  return alive;
}

void BenchmarkSession::Show(const PointReport& report) const {
  std::cout << (record_.brief ? RenderPointLines(report) : RenderTerminalReport(report));
  const bool completed = report.request_info().num_requests() > 0;
  if (completed && !record_.brief) std::cout << ClientLine(report.regatta().client()) << "\n";
  std::cout << std::flush;
}

// Whether the client shaped the figures, and what else may mislead their reader.
void BenchmarkSession::Judge(const LoadPoint& point, const Batch& batch, const LoadResult& result,
                             PointReport& report) const {
  JudgeClient(report);
  const bool exact =
      !WorkloadOptionsOf(options_, dataset_).honor_eos && options_.eos_id.value_or(-1) < 0;
  for (const std::string& warning :
       WarningsOf(report, {.asked_requests = batch.requests(),
                          .reused_prompts = batch.reused(),
                          .exact_lengths = exact,
                          .interrupted = result.interrupted,
                          .stalled = result.stalled,
                          .max_time_s = MaxTimePerPoint(),
                          .prompts_sent_before = PartlySent() && options_.load.cache_salt < 0})) {
    report.mutable_regatta()->add_warnings(warning);
  }
}

void BenchmarkSession::WarmUp(const PlannedLoad& planned, absl::Span<const PlannedLoad> after) {
  const LoadPoint& point = planned.point;
  const uint32_t requests = WarmupRequestsAt(options_, point);
  if (requests == 0) return;
  LoadOptions load;
  load.concurrency = point.concurrency > 0 ? std::min(point.concurrency, requests) : requests;
  // Behind a trace's end its prompts come with other tokens.
  if (options_.load.fixed_schedule) workload_->Deal(dataset_.entries.size());
  std::vector<PlannedLoad> left = {planned};
  left.insert(left.end(), after.begin(), after.end());
  const RunAhead ahead = Ahead({load.concurrency, requests}, left);
  ClusterMonitor monitor(serving_.channel);
  const LoadResult result = Load("warm-up for " + LoadName(LoadOf(options_.load, point)),
                                 WarmUpAt(requests), std::move(load), monitor, ahead);
  if (sweep_.points_size() > 0) return;
  const PointReport report = CompletePoint(PointReport(), result.samples);
  if (report.request_info().num_requests() == 0) return;
  const SpeedSample speed = {ahead.now.concurrency, report.performance().request_throughput_req_s(),
                             report.performance().avg_request_latency_ms() / 1e3};
  PrintEstimate(left, {&speed, 1});
}

LoadResult BenchmarkSession::Load(const std::string& label, const Batch& batch, LoadOptions load,
                                  ClusterMonitor& monitor, const RunAhead& ahead) {
  const double max_time_s = MaxTimePerPoint();
  load.stall_timeout = absl::Seconds(options_.stall_timeout_s);
  if (max_time_s > 0) load.max_time = absl::Seconds(max_time_s);
  LoadResult result = client_->Run(batch, load, [&](const LoadProgress& now) {
    monitor.Observe(now);
    display_.Show(label, now, monitor, sweep_, ahead);
    NoteDeadProcess();
  });
  display_.Hide();
  return result;
}

// Said once, when it happens; the run goes on with what still answers.
void BenchmarkSession::NoteDeadProcess() {
  if (noted_dead_process_ || serving_.local == nullptr) return;
  const absl::Status status = serving_.local->Check();
  if (status.ok()) return;
  noted_dead_process_ = true;
  display_.Hide();
  std::cerr << "! " << status.message() << "\n";
}

RunAhead BenchmarkSession::Ahead(const LoadPoint& now, absl::Span<const PlannedLoad> after) const {
  RunAhead ahead;
  ahead.now = now;
  for (const PlannedLoad& load : after) ahead.after.push_back(load.point);
  ahead.expected = expected_;
  ahead.beside_s = expected_s_;
  ahead.known = SpeedsOf(sweep_);
  ahead.max_s_per_point = MaxTimePerPoint();
  return ahead;
}

void BenchmarkSession::PrintEstimate(absl::Span<const PlannedLoad> left,
                                     absl::Span<const SpeedSample> known) const {
  std::vector<LoadPoint> points;
  for (const PlannedLoad& load : left) points.push_back(load.point);
  points.insert(points.end(), expected_.begin(), expected_.end());
  if (points.empty() || known.empty()) return;
  std::cerr << FormatAhead(points, EstimateSeconds(points, known, MaxTimePerPoint()), expected_s_,
                           /*about=*/!expected_.empty());
}

PointReport BenchmarkSession::Context(const PlannedLoad& load) const {
  PointReport context = ContextOf(serving_.description);
  if (options_.gpus > 0) context.mutable_world_info()->set_world_size(options_.gpus);
  context.mutable_dataset()->set_dataset_path(dataset_.path);
  RegattaInfo& info = *context.mutable_regatta();
  info.set_concurrency(load.unlimited ? 0 : load.point.concurrency);
  *info.mutable_load() = DescribeLoadShape(options_.load, load.point);
  info.set_streaming(options_.streaming);
  info.set_stream_mode(serving_.http ? "http" : options_.stream_mode);
  info.set_prefix_cache(options_.prefix_cache);
  info.set_warmup_requests(WarmupRequestsAt(options_, load.point));
  info.set_started_utc(UtcTimestamp());
  info.set_run_number(static_cast<uint32_t>(step_ + 1));
  info.set_repeat(load.repeat);
  info.set_search_role(load.role);
  info.set_comparison(record_.comparison);
  info.set_protocol(options_.protocol);
  AskFigures(options_, serving_.description, info);
  info.MergeFrom(marks_);
  return context;
}

double BenchmarkSession::MaxTimePerPoint() const {
  const PointReport context = ContextOf(serving_.description);
  return longer_ * MaxSecondsPerPoint(options_, context.regatta().performance_figure());
}

// The run counts once results.json says so: until then its requests are a tail that is dropped.
absl::Status BenchmarkSession::Save(std::vector<RequestRecord> records,
                                    const PointTimeline& timeline, bool whole) {
  ++step_;
  for (RequestRecord& record : records) record.set_run_number(static_cast<uint32_t>(step_));
  ASSIGN_OR_RETURN(const uint64_t request_bytes, directory_->AppendRequests(records));
  ASSIGN_OR_RETURN(const uint64_t timeline_bytes, directory_->AppendTimeline(timeline));
  if (!whole) {
    RETURN_IF_ERROR(directory_->KeepWhole(whole_));
  } else {
    NoteWhole(step_, request_bytes, timeline_bytes, sweep_);
    whole_ = sweep_;
  }
  return directory_->WriteResults(sweep_);
}

absl::Status BenchmarkSession::KeepRecommendation() {
  *whole_.mutable_recommendation() = sweep_.recommendation();
  return directory_->WriteResults(sweep_);
}

absl::Status BenchmarkSession::Finish(bool complete, bool show_overview) {
  display_.Hide();
  sweep_.set_completed(complete);
  if (!complete && GoesOn(record_.command)) {
    std::cerr << "Not complete; what is missing is measured by: regatta " << record_.command
              << " --resume " << ShellQuoted(directory_->path()) << "\n";
  }
  if (sweep_.points_size() == 0) return absl::OkStatus();
  if (show_overview) {
    std::cout << RenderSweepOverview(sweep_, ::isatty(STDOUT_FILENO) == 1,
                                     std::clamp<int>(TerminalColumns(stdout), 60, 160));
  }
  const absl::Status written = WriteFiles(/*whole_sweep=*/show_overview);
  // Whatever was not written: the points are there.
  std::cout << "Results: " << directory_->path() << "\n" << RepeatLines(sweep_) << std::flush;
  return written;
}

absl::Status BenchmarkSession::WriteFiles(bool whole_sweep) const {
  RETURN_IF_ERROR(WriteReports(sweep_, directory_->path(), options_.markdown));
  if (!options_.exports.empty()) {
    StoredRun run{sweep_, {}};  // the file's is not complete yet
    ASSIGN_OR_RETURN(run.requests, LoadRequests(directory_->path()));
    const std::string folder = directory_->path() + "/export";
    ASSIGN_OR_RETURN(const std::vector<std::string> paths, ExportTo(run, options_.exports, folder));
    std::cout << "Exports: " << folder << " (" << paths.size() << " files)\n";
  }
  RETURN_IF_ERROR(directory_->WriteResults(sweep_));  // last: complete means that all is there
  if (options_.report_json.empty()) return absl::OkStatus();
  return WriteFileAtomically(options_.report_json,
                             whole_sweep ? ToJson(sweep_) : ToJson(StandalonePoint(sweep_)));
}

}  // namespace regatta
