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
#include "orchestrator/benchmark/benchmark_input.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/benchmark/point_warnings.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/serving.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/cluster/cluster_monitor.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/doctor/doctor.h"
#include "orchestrator/doctor/finding.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/report/report.h"
#include "orchestrator/terminal/interrupt.h"
#include "orchestrator/terminal/progress_line.h"
#include "orchestrator/terminal/sweep_screen.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxDefaultWarmup = 64;
constexpr size_t kSparklineColumns = 160;

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

class Run {
 public:
  Run(const BenchmarkOptions& options, const BenchmarkPlan& plan)
      : options_(options), plan_(plan), stop_(InterruptFlag()), progress_(stderr) {}

  int Execute();

 private:
  absl::Status Prepare();
  absl::Status StartServing();
  void TakeFindings(std::vector<HostFinding> findings);
  absl::Status MeasureAll();
  absl::Status MeasurePoint(size_t index);
  void WarmUp(const LoadPoint& point);
  LoadResult Load(const std::string& label, const Batch& batch, uint32_t concurrency,
                  double max_time_s, ClusterMonitor& monitor);
  void ShowProgress(const std::string& label, const LoadProgress& now,
                    const ClusterMonitor& monitor);
  void HideProgress();
  void NoteDeadProcess();
  void PrintEstimate(size_t first_point, const SpeedSample& sample) const;
  PointReport Context(const LoadPoint& point) const;
  absl::Status Save(const std::vector<RequestRecord>& records);
  absl::Status SaveTimeline(PointTimeline timeline, const RegattaInfo& info,
                            const PointSamples& samples) const;
  absl::Status Finish();
  double MaxTimePerPoint() const;
  uint32_t WarmupRequests(const LoadPoint& point) const;

  const BenchmarkOptions& options_;
  const BenchmarkPlan& plan_;
  const std::atomic<bool>& stop_;
  ProgressLine progress_;  // where there is no terminal
  ScreenRegion screen_{stderr};
  std::vector<double> tokens_per_s_;  // of the running load
  Dataset dataset_;
  std::optional<RunDirectory> directory_;
  Serving serving_;
  std::vector<HostFinding> findings_;  // of doctor, when ranks run on this host's GPUs
  std::optional<Workload> workload_;
  std::unique_ptr<Target> target_;
  std::optional<LoadGenerator> generator_;
  SweepReport sweep_;
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
  uint32_t requests = 0;
  for (const LoadPoint& point : plan_.points) requests += point.requests + WarmupRequests(point);
  ASSIGN_OR_RETURN(dataset_, LoadBenchmarkDataset(options_, requests));
  RETURN_IF_ERROR(StartServing());
  const ClusterDescription& cluster = serving_.description;
  ASSIGN_OR_RETURN(target_, serving_.MakeTarget(mode));
  generator_.emplace(*target_);
  workload_.emplace(dataset_, WorkloadOptionsOf(options_, dataset_));
  sweep_.set_schema("regatta-sweep-1");
  sweep_.set_command(plan_.command_line);
  sweep_.set_created_utc(UtcTimestamp());
  sweep_.set_version(kVersion);
  sweep_.set_commit(BuildCommit());
  sweep_.set_dataset_path(dataset_.path);
  sweep_.set_insecure(cluster.insecure() || options_.tls.insecure);
  *sweep_.mutable_environment() = DescribeEnvironment(cluster);
  for (HostFinding& finding : findings_) {
    *sweep_.mutable_environment()->add_findings() = std::move(finding);
  }
  return absl::OkStatus();
}

// The run's directory exists before the cluster does, for its logs.
absl::Status Run::StartServing() {
  if (!options_.url.empty()) {
    ASSIGN_OR_RETURN(serving_, ConnectToCluster(options_, stop_));
    const ClusterDescription& cluster = serving_.description;
    if (!serving_.http) {
      RETURN_IF_ERROR(CheckTokenIds(dataset_, cluster.vocab_size(), cluster.model_name()));
    }
    ASSIGN_OR_RETURN(directory_, RunDirectory::Create(options_.output, cluster.model_name(),
                                                      LayoutName(cluster.layout())));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Layout layout, LayoutToLaunch(options_.cluster, std::cerr));
  const std::string model = ModelNameOf(options_.cluster.model);
  ASSIGN_OR_RETURN(directory_, RunDirectory::Create(options_.output, model, LayoutName(layout)));
  std::cerr << "Starting " << WorldSize(layout) << " workers and a router (" << LayoutName(layout)
            << "); logs in " << directory_->path() << "\n";
  // Before the ranks are: later they would be found as other users of the GPUs.
  std::vector<HostFinding> findings;
  if (options_.cluster.device != "cpu") findings = Diagnose(ReadDoctorFacts(WorldSize(layout)));
  ASSIGN_OR_RETURN(serving_, LaunchBenchmarkCluster(options_, layout, MeansOf(options_, dataset_),
                                                    directory_->path(), stop_));
  if (RunsOnGpus(serving_.description)) TakeFindings(std::move(findings));
  return absl::OkStatus();
}

// Says what may spoil the figures; everything found goes into the results.
void Run::TakeFindings(std::vector<HostFinding> findings) {
  findings_ = std::move(findings);
  for (const HostFinding& finding : findings_) {
    if (finding.level() == kOk || finding.level() == kNote) continue;
    std::cerr << "! " << finding.level() << ": " << FindingLine(finding) << "\n";
  }
}

absl::Status Run::MeasureAll() {
  for (size_t i = 0; i < plan_.points.size() && !stop_.load(); ++i) {
    RETURN_IF_ERROR(MeasurePoint(i));
    if (stop_.load()) break;  // perhaps while warming up, so without a point
    if (sweep_.points(i).request_info().num_requests() > 0) continue;
    // Nothing completed: go on only if there is still something to measure.
    RETURN_IF_ERROR(serving_.Check());
  }
  sweep_.set_completed(!stop_.load());
  return absl::OkStatus();
}

absl::Status Run::MeasurePoint(size_t index) {
  const LoadPoint& point = plan_.points[index];
  if (index == 0 || WarmupRequests(point) > 0) WarmUp(point);
  if (stop_.load()) return absl::OkStatus();
  PointReport context = Context(point);
  const Batch batch = workload_->Deal(point.requests);
  const std::string label =
      absl::StrCat("[", index + 1, "/", plan_.points.size(), "] concurrency ", point.concurrency);
  ClusterMonitor monitor(serving_.channel);
  const LoadResult result = Load(label, batch, point.concurrency, MaxTimePerPoint(), monitor);
  PointTimeline timeline = monitor.Finish(*context.mutable_regatta());
  context.mutable_regatta()->set_cut_short(result.cut_short);
  PointReport report = CompletePoint(std::move(context), result.samples);
  const bool exact =
      !WorkloadOptionsOf(options_, dataset_).honor_eos && options_.eos_id.value_or(-1) < 0;
  for (const std::string& warning : WarningsOf(report, {point.requests, batch.reused(), exact,
                                                        result.interrupted, MaxTimePerPoint()})) {
    report.mutable_regatta()->add_warnings(warning);
  }
  failed_requests_ += report.regatta().failed_requests();
  *sweep_.add_points() = report;
  std::cout << RenderTerminalReport(report) << std::endl;
  RETURN_IF_ERROR(Save(result.samples.requests));
  RETURN_IF_ERROR(SaveTimeline(std::move(timeline), report.regatta(), result.samples));
  if (index + 1 < plan_.points.size()) {
    PrintEstimate(index + 1, {point.concurrency, report.performance().request_throughput_req_s(),
                              report.performance().avg_request_latency_ms() / 1e3});
  }
  return absl::OkStatus();
}

void Run::WarmUp(const LoadPoint& point) {
  const uint32_t requests = WarmupRequests(point);
  if (requests == 0) return;
  ClusterMonitor monitor(serving_.channel);
  const LoadResult result =
      Load(absl::StrCat("warm-up for concurrency ", point.concurrency), workload_->Deal(requests),
           std::min(point.concurrency, requests), MaxTimePerPoint(), monitor);
  if (sweep_.points_size() > 0) return;
  const PointReport report = CompletePoint(PointReport(), result.samples);
  if (report.request_info().num_requests() == 0) return;
  PrintEstimate(
      0, {std::min(point.concurrency, requests), report.performance().request_throughput_req_s(),
          report.performance().avg_request_latency_ms() / 1e3});
}

LoadResult Run::Load(const std::string& label, const Batch& batch, uint32_t concurrency,
                     double max_time_s, ClusterMonitor& monitor) {
  LoadOptions load;
  load.concurrency = concurrency;
  load.stall_timeout = absl::Seconds(options_.stall_timeout_s);
  if (max_time_s > 0) load.max_time = absl::Seconds(max_time_s);
  LoadResult result = generator_->Run(batch, load, stop_, [&](const LoadProgress& now) {
    monitor.Observe(now);
    ShowProgress(label, now, monitor);
    NoteDeadProcess();
  });
  HideProgress();
  return result;
}

void Run::ShowProgress(const std::string& label, const LoadProgress& now,
                       const ClusterMonitor& monitor) {
  if (!progress_.on_terminal()) return progress_.Update(label, now);
  tokens_per_s_.push_back(now.tokens_per_s);
  if (tokens_per_s_.size() > kSparklineColumns) tokens_per_s_.erase(tokens_per_s_.begin());
  // In the last column some terminals begin the next line.
  screen_.Draw(RenderSweepScreen({label, now, monitor.Latest(), tokens_per_s_, sweep_},
                                 TerminalColumns(stderr) - 1));
}

void Run::HideProgress() {
  progress_.Finish();
  screen_.Clear();
  tokens_per_s_.clear();
}

// Said once, when it happens; the run goes on with what still answers.
void Run::NoteDeadProcess() {
  if (noted_dead_process_ || serving_.local == nullptr) return;
  const absl::Status status = serving_.local->Check();
  if (status.ok()) return;
  noted_dead_process_ = true;
  HideProgress();
  std::cerr << "! " << status.message() << "\n";
}

void Run::PrintEstimate(size_t first_point, const SpeedSample& sample) const {
  const std::vector<LoadPoint> left(plan_.points.begin() + first_point, plan_.points.end());
  uint64_t requests = 0;
  for (const LoadPoint& point : left) requests += point.requests;
  const TimeEstimate estimate = EstimateSeconds(left, sample, MaxTimePerPoint());
  std::cerr << absl::StrFormat("%d %s, %d requests: between %s and %s\n", left.size(),
                               left.size() == 1 ? "point" : "points", requests,
                               FormatSeconds(estimate.low_s), FormatSeconds(estimate.high_s));
}

PointReport Run::Context(const LoadPoint& point) const {
  PointReport context = ContextOf(serving_.description);
  context.mutable_dataset()->set_dataset_path(dataset_.path);
  RegattaInfo& info = *context.mutable_regatta();
  info.set_concurrency(plan_.unlimited ? 0 : point.concurrency);
  info.set_streaming(options_.streaming);
  info.set_stream_mode(serving_.http ? "http" : options_.stream_mode);
  info.set_prefix_cache(options_.prefix_cache);
  info.set_warmup_requests(WarmupRequests(point));
  info.set_started_utc(UtcTimestamp());
  return context;
}

double Run::MaxTimePerPoint() const {
  const PointReport context = ContextOf(serving_.description);
  return MaxSecondsPerPoint(options_, context.regatta().performance_figure());
}

uint32_t Run::WarmupRequests(const LoadPoint& point) const {
  if (options_.warmup >= 0) return options_.warmup;
  return std::clamp(point.concurrency, 2u, kMaxDefaultWarmup);
}

absl::Status Run::Save(const std::vector<RequestRecord>& records) {
  RETURN_IF_ERROR(directory_->AppendRequests(records));
  return directory_->WriteResults(sweep_);
}

absl::Status Run::SaveTimeline(PointTimeline timeline, const RegattaInfo& info,
                               const PointSamples& samples) const {
  timeline.set_layout(info.layout());
  timeline.set_concurrency(info.concurrency());
  for (double gap_ms : EvenQuantiles({samples.gaps_ms.begin(), samples.gaps_ms.end()}, 101)) {
    timeline.add_itl_quantiles_ms(std::round(gap_ms * 1e3) / 1e3);
  }
  return directory_->AppendTimeline(timeline);
}

absl::Status Run::Finish() {
  HideProgress();
  if (sweep_.points_size() == 0) return absl::OkStatus();
  RETURN_IF_ERROR(directory_->WriteResults(sweep_));
  RETURN_IF_ERROR(WriteReports(sweep_, directory_->path(), options_.markdown));
  if (plan_.show_overview) {
    std::cout << RenderSweepOverview(sweep_, ::isatty(STDOUT_FILENO) == 1, TerminalWidth());
  }
  if (!options_.report_json.empty()) {
    const bool single = !plan_.show_overview;
    RETURN_IF_ERROR(
        WriteTextFile(options_.report_json, single ? ToJson(sweep_.points(0)) : ToJson(sweep_)));
  }
  std::cout << "Results: " << directory_->path() << "\nRepeat:  " << plan_.command_line
            << std::endl;
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
