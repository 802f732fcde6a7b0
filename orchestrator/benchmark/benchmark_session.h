// An open benchmark run: a cluster that serves, a client, prompts, a directory of results. Measures
// one load point at a time and saves after each; what to measure next is decided by who drives it:
// a plan (benchmark.h), a search, an experiment over layouts.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/benchmark/benchmark_client.h"
#include "orchestrator/benchmark/benchmark_options.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/benchmark/run_display.h"
#include "orchestrator/benchmark/serving.h"
#include "orchestrator/benchmark/sweep.h"
#include "orchestrator/cluster/cluster_monitor.h"
#include "orchestrator/doctor/doctor.h"
#include "orchestrator/workload/dataset.h"
#include "orchestrator/workload/workload.h"
#include "proto/cluster.pb.h"
#include "proto/results.pb.h"

namespace regatta {

class BenchmarkSession;

// What a run is, beside its options.
struct RunRecord {
  std::string command;        // that alone goes on with it: "sweep"
  std::string command_line;   // that repeats the run
  std::string configuration;  // every flag with its value
  // --name=value of every flag that was given, for the journal.
  std::vector<std::string> flags;
  std::string directory;  // of a new run; empty = one with a name of its own in options.output
  std::string resume;     // directory of a run to go on with; empty = a new one
  // Every load, where that is known beforehand; empty: loads are chosen as the run goes.
  std::vector<PlannedLoad> plan;
  // The largest loads that may come: prompts and client threads are made for them.
  std::vector<LoadPoint> foreseen;
  std::string name;        // in the directory's name in place of the layout
  bool brief = false;      // a line for each load in place of its report
  bool re_forms = false;   // layout and precision are what is measured, not what makes the run
  std::string comparison;  // of which the run is one side, measured in turn; empty = of none
  // Called once the cluster serves, before a run that goes on is held against its journal: puts
  // back what the run itself had changed there when it was killed.
  std::function<absl::Status(BenchmarkSession&)> once_served;
};

class BenchmarkSession {
 public:
  // Pulls a model that is named as on the Hub, reads or makes prompts, launches or joins the
  // cluster, calibrates the client, makes the directory or takes up the run to go on with. Progress
  // and notes go to stderr. `stop` must outlive the session; CANCELLED when it turned true.
  static absl::StatusOr<std::unique_ptr<BenchmarkSession>> Open(BenchmarkOptions options,
                                                                RunRecord record,
                                                                const std::atomic<bool>& stop);

  // Warms up, measures, prints the report, saves. The loads of a run that goes on have to come
  // again from whole_loads() on, the same as before. `after`: what is known to follow, for the
  // estimate of what is left. An error when nothing more can be measured here; requests that fail
  // are none, unless nothing serves after them: such a load is not kept, and --resume measures it
  // anew. Returns OK without a new run in sweep() when stopped during the warm-up.
  absl::Status Measure(const PlannedLoad& load, absl::Span<const PlannedLoad> after);

  // What the following loads are measured for: `title` is shown before them, their points have
  // `marks` beside what is measured.
  void Mark(std::string title, RegattaInfo marks) {
    title_ = std::move(title);
    marks_ = std::move(marks);
  }

  // What will probably be measured after the loads that are known to follow, and the seconds that
  // it takes beside: for the estimate of what is left, which is "about" then. Holds until the next
  // call.
  void Expect(std::vector<LoadPoint> loads, double seconds_beside) {
    expected_ = std::move(loads);
    expected_s_ = seconds_beside;
  }

  // Gives the live pool another layout or other limits (Cluster.Repartition); what is measured next
  // is measured there. The pool serves as before when it is refused. Not over HTTP.
  absl::Status Reform(const RepartitionRequest& request);
  // Ends the cluster that was launched here and launches `cluster` in its place.
  // FAILED_PRECONDITION with --url.
  absl::Status Relaunch(const ClusterOptions& cluster);

  // Writes the reports; `complete`: nothing is missing. With `show_overview` the table and the
  // frontier go to stdout.
  absl::Status Finish(bool complete, bool show_overview);

  // Loads that are measured and on the disk, those of a run that was taken up included.
  size_t whole_loads() const { return whole_.journal().whole_points(); }
  const SweepReport& sweep() const { return sweep_; }
  // For what is found out about the whole run; on the disk with the next save or Finish.
  SweepReport& mutable_sweep() { return sweep_; }
  // Has the recommendation on the disk now, before something is done that a later life must know.
  absl::Status KeepRecommendation();
  const BenchmarkOptions& options() const { return options_; }
  const Serving& serving() const { return serving_; }
  const RunDirectory& directory() const { return *directory_; }
  uint32_t failed_requests() const { return failed_requests_; }

 private:
  BenchmarkSession(BenchmarkOptions options, RunRecord record, const std::atomic<bool>& stop)
      : options_(std::move(options)), record_(std::move(record)), stop_(stop), display_(stderr) {}

  absl::Status Prepare();
  absl::Status StartServing();
  absl::Status LaunchHere(const Layout& layout);
  absl::Status ConnectClient();
  absl::StatusOr<RunDirectory> MakeDirectory(const std::string& model, const Layout& layout) const;
  absl::Status BeginSweep();
  SweepReport NewSweep() const;
  void TakeFindings(DoctorFacts facts);
  const PlannedPoint& Plan(const PlannedLoad& load);
  bool PartlySent() const;
  void SaltFor(bool warm_up);
  void WarmUp(const PlannedLoad& load, absl::Span<const PlannedLoad> after);
  Batch WarmUpAt(uint32_t requests);
  Batch DealAt(const LoadPoint& point);
  LoadResult Load(const std::string& label, const Batch& batch, LoadOptions load,
                  ClusterMonitor& monitor, const RunAhead& ahead);
  void Judge(const LoadPoint& point, const Batch& batch, const LoadResult& result,
             PointReport& report) const;
  void Show(const PointReport& report) const;
  absl::Status WriteFiles(bool whole_sweep) const;
  void NoteDeadProcess();
  RunAhead Ahead(const LoadPoint& now, absl::Span<const PlannedLoad> after) const;
  void PrintEstimate(absl::Span<const PlannedLoad> left, absl::Span<const SpeedSample> known) const;
  PointReport Context(const PlannedLoad& load) const;
  absl::Status Save(std::vector<RequestRecord> records, const PointTimeline& timeline, bool whole);
  double MaxTimePerPoint() const;
  std::string LabelOf(const PlannedLoad& load) const;

  BenchmarkOptions options_;
  const RunRecord record_;
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
  SweepReport whole_;      // sweep_ without a load that was cut by Ctrl-C
  size_t first_step_ = 0;  // where this process began
  size_t step_ = 0;        // of the load that is measured next
  uint32_t longer_ = 1;    // times the usual limit of its time
  uint32_t failed_requests_ = 0;
  std::string title_;
  std::vector<LoadPoint> expected_;
  double expected_s_ = 0;
  RegattaInfo marks_;
  bool noted_dead_process_ = false;
};

}  // namespace regatta
