// Prepare, measure each point, save, report; see benchmark.h.
#include "orchestrator/benchmark/benchmark.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "orchestrator/benchmark/benchmark_client.h"
#include "orchestrator/benchmark/benchmark_input.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/benchmark/figures.h"
#include "orchestrator/benchmark/journal.h"
#include "orchestrator/benchmark/point_warnings.h"
#include "orchestrator/benchmark/request_rates.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/run_display.h"
#include "orchestrator/benchmark/run_order.h"
#include "orchestrator/benchmark/serving.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/cluster/cluster_monitor.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/doctor/doctor.h"
#include "orchestrator/doctor/finding.h"
#include "orchestrator/doctor/gpu_meter.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/load/client_verdict.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

int TerminalWidth() {
  winsize size = {};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return std::clamp<int>(known ? size.ws_col : 80, 60, 160);
}

bool RunsOnGpus(const ClusterDescription& cluster) {
  return std::any_of(cluster.workers().begin(), cluster.workers().end(), [](const auto& worker) {
    return worker.description().device_kind() == "cuda";
  });
}

void DescribeTimeline(const RegattaInfo& info, const PointSamples& samples,
                      PointTimeline& timeline) {
  timeline.set_run_number(info.run_number());
  for (double gap_ms : EvenQuantiles({samples.gaps_ms.begin(), samples.gaps_ms.end()}, 101)) {
    timeline.add_itl_quantiles_ms(std::round(gap_ms * 1e3) / 1e3);
  }
}

class Run {
 public:
  Run(const BenchmarkOptions& options, const BenchmarkPlan& plan)
      : options_(options),
        plan_(plan),
        order_(DrawRunOrder(plan.points.size(), options.repeats, options.random_seed)),
        stop_(InterruptFlag()),
        display_(stderr) {}

  int Execute();

 private:
  absl::Status Prepare();
  absl::Status StartServing();
  absl::StatusOr<RunDirectory> MakeDirectory(const std::string& model, const Layout& layout) const;
  absl::Status BeginSweep();
  SweepReport NewSweep() const;
  void TakeFindings(DoctorFacts facts);
  absl::Status MeasureAll();
  absl::Status MeasurePoint(size_t step);
  void WarmUp(const LoadPoint& point);
  LoadResult Load(const std::string& label, const Batch& batch, LoadOptions load,
                  ClusterMonitor& monitor);
  void NoteDeadProcess();
  void PrintEstimate(size_t first_step, const SpeedSample& sample) const;
  PointReport Context(size_t step) const;
  absl::Status Save(size_t step, std::vector<RequestRecord> records, const PointTimeline& timeline,
                    bool whole);
  absl::Status Finish();
  double MaxTimePerPoint() const;

  const BenchmarkOptions& options_;
  const BenchmarkPlan& plan_;
  const std::vector<PlannedRun> order_;
  const std::atomic<bool>& stop_;
  RunDisplay display_;
  Dataset dataset_;
  std::optional<RunDirectory> directory_;
  Serving serving_;
  // When ranks run on this host's GPUs: what doctor found, and which GPUs there are.
  std::vector<HostFinding> findings_;
  DoctorFacts facts_;
  std::optional<Workload> workload_;
  std::unique_ptr<BenchmarkClient> client_;
  SweepReport sweep_;
  SweepReport whole_;  // sweep_ without a point that was cut by Ctrl-C
  uint32_t failed_requests_ = 0;
  bool noted_dead_process_ = false;
};

int Run::Execute() {
  absl::Status status = Prepare();
  if (status.ok()) status = MeasureAll();
  if (directory_.has_value()) {
    const absl::Status finished = Finish();
    if (status.ok()) status = finished;
  }
  if (!status.ok()) return ExitCodeOf(status);
  if (stop_.load()) return kExitInterrupted;
  return failed_requests_ > 0 ? kExitRequestsFailed : kExitOk;
}

absl::Status Run::Prepare() {
  ASSIGN_OR_RETURN(const StreamMode mode, ParseStreamMode(options_.stream_mode));
  RETURN_IF_ERROR(CheckFlagsOfUrl(options_));
  RETURN_IF_ERROR(CheckFigures(options_));
  uint32_t requests = 0;
  for (const PlannedRun& run : order_) {
    const LoadPoint& point = plan_.points[run.point];
    RETURN_IF_ERROR(CheckLoadShape(options_.load, point));
    requests += point.requests + WarmupRequestsAt(options_, point);
  }
  ASSIGN_OR_RETURN(dataset_, LoadBenchmarkDataset(options_, requests));
  for (const LoadPoint& point : plan_.points) {
    RETURN_IF_ERROR(CheckSchedule(options_, dataset_, point.requests));
  }
  RETURN_IF_ERROR(StartServing());
  ASSIGN_OR_RETURN(client_,
                   BenchmarkClient::Connect(options_, plan_.points, serving_, mode, stop_));
  workload_.emplace(dataset_, WorkloadOptionsOf(options_, dataset_));
  return BeginSweep();
}

// A new one, or the whole part of one that was begun. On the disk before anything is measured.
absl::Status Run::BeginSweep() {
  const std::vector<PlannedPoint> planned = PlannedPoints(options_, plan_.points, order_);
  const RunIdentity identity = IdentityOf(plan_.flags, planned, dataset_, serving_.description);
  if (plan_.resume.empty()) {
    sweep_ = NewSweep();
    *sweep_.mutable_journal()->mutable_identity() = identity;
  } else {
    ASSIGN_OR_RETURN(sweep_, TakeUp(*directory_, identity));
    for (const PointReport& run : MeasuredRuns(sweep_)) {
      failed_requests_ += run.regatta().failed_requests();
    }
    std::cerr << "Going on in " << plan_.resume << ": " << sweep_.journal().whole_points() << " of "
              << planned.size() << " points are whole\n";
  }
  whole_ = sweep_;
  RETURN_IF_ERROR(directory_->WriteResults(sweep_));
  directory_->DropWhole();
  return absl::OkStatus();
}

SweepReport Run::NewSweep() const {
  SweepReport sweep;
  sweep.set_schema(kSweepSchema);
  sweep.set_command(plan_.command_line);
  sweep.set_configuration(plan_.configuration);
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

absl::StatusOr<RunDirectory> Run::MakeDirectory(const std::string& model,
                                                const Layout& layout) const {
  if (!plan_.resume.empty()) return RunDirectory::Open(plan_.resume);
  return RunDirectory::Create(options_.output, model, LayoutName(layout));
}

// The run's directory exists before the cluster does, for its logs.
absl::Status Run::StartServing() {
  if (!options_.url.empty()) {
    ASSIGN_OR_RETURN(serving_, ConnectToCluster(options_, stop_));
    const ClusterDescription& cluster = serving_.description;
    if (!serving_.http) {
      RETURN_IF_ERROR(CheckTokenIds(dataset_, cluster.vocab_size(), cluster.model_name()));
    }
    ASSIGN_OR_RETURN(directory_, MakeDirectory(cluster.model_name(), cluster.layout()));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Layout layout, LayoutToLaunch(options_.cluster, std::cerr));
  ASSIGN_OR_RETURN(directory_, MakeDirectory(ModelNameOf(options_.cluster.model), layout));
  std::cerr << "Starting " << WorldSize(layout) << " workers and a router (" << LayoutName(layout)
            << "); logs in " << directory_->path() << "\n";
  // Before the ranks are: later they would be found as other users of the GPUs.
  DoctorFacts facts;
  if (options_.cluster.device != "cpu") facts = ReadDoctorFacts(WorldSize(layout));
  ASSIGN_OR_RETURN(serving_, LaunchBenchmarkCluster(options_, layout, MeansOf(options_, dataset_),
                                                    directory_->path(), stop_));
  if (RunsOnGpus(serving_.description)) TakeFindings(std::move(facts));
  return absl::OkStatus();
}

// Says what may spoil the figures; everything found goes into the results.
void Run::TakeFindings(DoctorFacts facts) {
  facts_ = std::move(facts);
  findings_ = Diagnose(facts_);
  for (const HostFinding& finding : findings_) {
    if (finding.level() == kOk || finding.level() == kNote) continue;
    std::cerr << "! " << finding.level() << ": " << FindingLine(finding) << "\n";
  }
}

absl::Status Run::MeasureAll() {
  for (size_t step = whole_.journal().whole_points(); step < order_.size() && !stop_.load();
       ++step) {
    RETURN_IF_ERROR(MeasurePoint(step));
  }
  sweep_.set_completed(!stop_.load());
  return absl::OkStatus();
}

absl::Status Run::MeasurePoint(size_t step) {
  const PlannedRun& run = order_[step];
  const LoadPoint& point = plan_.points[run.point];
  const PlannedPoint& planned = sweep_.journal().identity().planned(static_cast<int>(step));
  workload_->Seek(static_cast<uint64_t>(planned.first_prompt()));
  workload_->SaltFor(2 * step);
  WarmUp(point);
  if (stop_.load()) return absl::OkStatus();
  PointReport context = Context(step);
  workload_->SaltFor(2 * step + 1);
  // A trace is replayed from its first request, other data sets are dealt from where they stand.
  if (options_.load.fixed_schedule) workload_->Seek(0);
  const Batch batch = workload_->Deal(point.requests);
  const std::string label = absl::StrCat("[", step + 1, "/", order_.size(), "] ",
                                         LoadName({point.request_rate, point.concurrency}));
  LoadOptions load = LoadOptionsOf(options_.load, point, batch, options_.random_seed);
  load.threads = ClientThreads(options_.load, point);
  ClusterMonitor monitor(serving_.channel);
  GpuMeter meter(kNvmlLibrary, facts_.gpus.ok() ? *facts_.gpus : GpuInventory());
  LoadResult result = Load(label, batch, std::move(load), monitor);
  meter.Finish(*context.mutable_regatta());
  PointTimeline timeline = monitor.Finish(*context.mutable_regatta());
  context.mutable_regatta()->set_cut_short(result.cut_short);
  *context.mutable_regatta()->mutable_client() = std::move(result.client);
  PointReport report = CompletePoint(std::move(context), result.samples);
  JudgeClient(report);
  // A cluster of our own has started afresh.
  const bool resumed =
      !options_.url.empty() && !plan_.resume.empty() && sweep_.journal().whole_points() == step;
  const bool exact =
      !WorkloadOptionsOf(options_, dataset_).honor_eos && options_.eos_id.value_or(-1) < 0;
  for (const std::string& warning : WarningsOf(report, {.asked_requests = batch.requests(),
                                                       .reused_prompts = batch.reused(),
                                                       .exact_lengths = exact,
                                                       .interrupted = result.interrupted,
                                                       .stalled = result.stalled,
                                                       .max_time_s = MaxTimePerPoint(),
                                                       .prompts_sent_before = resumed})) {
    report.mutable_regatta()->add_warnings(warning);
  }
  failed_requests_ += report.regatta().failed_requests();
  KeepRun(options_, report, result.interrupted, sweep_);
  std::cout << RenderTerminalReport(report) << ClientLine(report.regatta().client()) << std::endl;
  // Nothing completed: go on only if there is still something to measure.
  const bool any = report.request_info().num_requests() > 0 || result.interrupted;
  const absl::Status alive = any ? absl::OkStatus() : serving_.Check();
  DescribeTimeline(report.regatta(), result.samples, timeline);
  RETURN_IF_ERROR(
      Save(step, std::move(result.samples.requests), timeline, alive.ok() && !result.interrupted));
  if (alive.ok() && step + 1 < order_.size()) {
    PrintEstimate(step + 1, {point.concurrency, report.performance().request_throughput_req_s(),
                             report.performance().avg_request_latency_ms() / 1e3});
  }
  return alive;
}

void Run::WarmUp(const LoadPoint& point) {
  const uint32_t requests = WarmupRequestsAt(options_, point);
  if (requests == 0) return;
  LoadOptions load;
  load.concurrency = point.concurrency > 0 ? std::min(point.concurrency, requests) : requests;
  // Behind a trace's end its prompts come with other tokens.
  if (options_.load.fixed_schedule) workload_->Deal(dataset_.entries.size());
  ClusterMonitor monitor(serving_.channel);
  const LoadResult result = Load("warm-up for " + LoadName({point.request_rate, point.concurrency}),
                                 workload_->Deal(requests), std::move(load), monitor);
  if (sweep_.points_size() > 0) return;
  const PointReport report = CompletePoint(PointReport(), result.samples);
  if (report.request_info().num_requests() == 0) return;
  PrintEstimate(
      0, {std::min(point.concurrency, requests), report.performance().request_throughput_req_s(),
          report.performance().avg_request_latency_ms() / 1e3});
}

LoadResult Run::Load(const std::string& label, const Batch& batch, LoadOptions load,
                     ClusterMonitor& monitor) {
  const double max_time_s = MaxTimePerPoint();
  load.stall_timeout = absl::Seconds(options_.stall_timeout_s);
  if (max_time_s > 0) load.max_time = absl::Seconds(max_time_s);
  LoadResult result = client_->Run(batch, load, [&](const LoadProgress& now) {
    monitor.Observe(now);
    display_.Show(label, now, monitor, sweep_);
    NoteDeadProcess();
  });
  display_.Hide();
  return result;
}

// Said once, when it happens; the run goes on with what still answers.
void Run::NoteDeadProcess() {
  if (noted_dead_process_ || serving_.local == nullptr) return;
  const absl::Status status = serving_.local->Check();
  if (status.ok()) return;
  noted_dead_process_ = true;
  display_.Hide();
  std::cerr << "! " << status.message() << "\n";
}

void Run::PrintEstimate(size_t first_step, const SpeedSample& sample) const {
  std::vector<LoadPoint> left;
  for (size_t step = first_step; step < order_.size(); ++step) {
    left.push_back(plan_.points[order_[step].point]);
  }
  uint64_t requests = 0;
  for (const LoadPoint& point : left) requests += point.requests;
  const TimeEstimate estimate = EstimateSeconds(left, sample, MaxTimePerPoint());
  std::cerr << absl::StrFormat("%d %s, %d requests: between %s and %s\n", left.size(),
                               left.size() == 1 ? "point" : "points", requests,
                               FormatSeconds(estimate.low_s), FormatSeconds(estimate.high_s));
}

PointReport Run::Context(size_t step) const {
  const PlannedRun& run = order_[step];
  const LoadPoint& point = plan_.points[run.point];
  PointReport context = ContextOf(serving_.description);
  if (options_.gpus > 0) context.mutable_world_info()->set_world_size(options_.gpus);
  context.mutable_dataset()->set_dataset_path(dataset_.path);
  RegattaInfo& info = *context.mutable_regatta();
  info.set_concurrency(plan_.unlimited ? 0 : point.concurrency);
  *info.mutable_load() = DescribeLoadShape(options_.load, point);
  info.set_streaming(options_.streaming);
  info.set_stream_mode(serving_.http ? "http" : options_.stream_mode);
  info.set_prefix_cache(options_.prefix_cache);
  info.set_warmup_requests(WarmupRequestsAt(options_, point));
  info.set_started_utc(UtcTimestamp());
  info.set_run_number(static_cast<uint32_t>(step + 1));
  info.set_repeat(run.repeat);
  AskFigures(options_, serving_.description, info);
  return context;
}

double Run::MaxTimePerPoint() const {
  const PointReport context = ContextOf(serving_.description);
  return MaxSecondsPerPoint(options_, context.regatta().performance_figure());
}

// The run counts once results.json says so: until then its requests are a tail that is dropped.
absl::Status Run::Save(size_t step, std::vector<RequestRecord> records,
                       const PointTimeline& timeline, bool whole) {
  for (RequestRecord& record : records) record.set_run_number(static_cast<uint32_t>(step + 1));
  ASSIGN_OR_RETURN(const uint64_t request_bytes, directory_->AppendRequests(records));
  ASSIGN_OR_RETURN(const uint64_t timeline_bytes, directory_->AppendTimeline(timeline));
  if (!whole) {
    RETURN_IF_ERROR(directory_->KeepWhole(whole_));
    return directory_->WriteResults(sweep_);
  }
  NoteWhole(step + 1, request_bytes, timeline_bytes, sweep_);
  whole_ = sweep_;
  return directory_->WriteResults(sweep_);
}

absl::Status Run::Finish() {
  display_.Hide();
  if (sweep_.points_size() == 0) return absl::OkStatus();
  RETURN_IF_ERROR(WriteReports(sweep_, directory_->path(), options_.markdown));
  RETURN_IF_ERROR(directory_->WriteResults(sweep_));  // last: complete means that all is there
  if (plan_.show_overview) {
    std::cout << RenderSweepOverview(sweep_, ::isatty(STDOUT_FILENO) == 1, TerminalWidth());
  }
  if (!options_.report_json.empty()) {
    const bool single = !plan_.show_overview;
    RETURN_IF_ERROR(WriteTextFile(options_.report_json,
                                  single ? ToJson(StandalonePoint(sweep_)) : ToJson(sweep_)));
  }
  std::cout << "Results: " << directory_->path() << "\nRepeat:  " << sweep_.command() << std::endl;
  return absl::OkStatus();
}

}  // namespace

int RunBenchmark(BenchmarkOptions options, const BenchmarkPlan& plan) {
  // A running router has the weights already.
  const bool needs_weights = options.url.empty() && !options.cluster.dummy_weights;
  const ModelParts parts = needs_weights ? ModelParts::kAll : ModelParts::kWithoutWeights;
  absl::StatusOr<std::string> model = ResolveModel(options.cluster.model, parts, InterruptFlag());
  if (!model.ok()) return ExitCodeOf(model.status());
  options.cluster.model = *std::move(model);
  return Run(options, plan).Execute();
}

}  // namespace regatta
