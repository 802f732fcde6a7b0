// Coordinator: the router's middle. Its thread owns placement and the list of groups; requests come
// from front ends, engine loops run them, a job thread forms groups. Decides when to form, re-form
// and give up; steps are the engine loops' business.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/bounded_queue.h"
#include "common/clock.h"
#include "proto/cluster.pb.h"
#include "router/cluster/former.h"
#include "router/compiling_requests.h"
#include "router/engine_loop.h"
#include "router/frontend.h"
#include "router/metrics/router_metrics.h"
#include "router/placement.h"

namespace regatta {

struct CoordinatorOptions {
  Layout layout;
  Limits limits;  // asked for; zero fields are derived
  FormerOptions former;
  bool prefix_cache = true;
  bool pace_prompts = true;
  ConstraintCompiler* constraints = nullptr;  // null: requests with a constraint are refused
  uint32_t max_queue_size = 16384;
  uint32_t queue_timeout_ms = 0;  // of requests that give none; 0 = none
  bool ignore_priority = false;   // first come, first served, whatever requests say
  uint32_t max_moves = 3;         // groups that one started request may lose before it fails
  size_t engine_inbox_capacity = 1 << 16;  // commands that wait for one group
  absl::Duration step_timeout =
      absl::ZeroDuration();  // floor; zero: 2 s on devices, 30 s on CPU ranks
  absl::Duration start_timeout = absl::Seconds(60);  // for workers to answer and be free at start
  absl::Duration form_timeout = absl::Minutes(10);
  absl::Duration unavailable_timeout = absl::Seconds(60);  // requests wait so long for a group
  bool tls = false;                                        // for Describe
  bool insecure = false;                                   // for Describe
  std::function<void(const std::string&)> log;             // lines for people; from several threads
  std::function<void(bool)> on_serving;  // for health; from the coordinator's thread
};

// For workers that are known to run to describe themselves.
inline constexpr absl::Duration kDescribeTimeout = absl::Seconds(2);

class Coordinator final : public RequestSink, private EngineOwner {
 public:
  using RepartitionSink = std::function<void(const RepartitionProgress&)>;
  using DoneSink = std::function<void(absl::Status)>;

  // `tokenizer` may be null. Everything by reference or pointer must outlive the cluster.
  Coordinator(CoordinatorOptions options, const ModelSpec& spec, const Tokenizer* tokenizer,
              Pool& pool);
  // Ends what runs (UNAVAILABLE) and gives all workers back.
  ~Coordinator() override;

  // Forms the layout; returns when it serves, or why it cannot. Called once.
  absl::Status Start();

  absl::StatusOr<uint64_t> Submit(const GenerateRequest& request, uint64_t tag,
                                  std::shared_ptr<DeltaStream> stream) override;
  void Cancel(uint64_t id) override;

  // Longest prompt plus output that is taken now; 0 before anything serves. Thread-safe.
  uint32_t max_seq_len() const ABSL_LOCKS_EXCLUDED(admission_mutex_) {
    absl::MutexLock lock(&admission_mutex_);
    return max_seq_len_;
  }

  // What has been counted, from before Start on.
  const RouterMetrics& metrics() const { return metrics_; }

  // The answers come from the coordinator's thread and must not block it.
  void Describe(std::function<void(ClusterDescription)> reply);
  void State(std::function<void(ClusterState)> reply);
  // See proto/cluster.proto. `done` is called once, after the last progress.
  void Repartition(RepartitionRequest request, RepartitionSink progress, DoneSink done);
  // Refuses new requests from now on; replies when none is left, cancelling what runs at the
  // deadline.
  void Drain(absl::Duration deadline, std::function<void(DrainResponse)> reply);

 private:
  struct Group {
    uint32_t index = 0;  // for people: 0 ... copies - 1
    FormedGroup formed;
    std::shared_ptr<const GroupMetrics> metrics;
    std::unique_ptr<EngineLoop> engine;
  };
  // What a job on the job thread came to.
  struct Formation {
    absl::Status status;
    FormationPlan plan;
    std::vector<FormedGroup> groups;
    bool fell_back =
        false;  // `status` says why the wanted layout failed, `groups` are of the previous one
    double dissolve_seconds = 0;
    double form_seconds = 0;
  };
  struct RepartitionJob {
    RepartitionRequest request;
    RepartitionSink progress;
    DoneSink done;
    enum { kQueued, kPlanning, kDraining, kForming } stage = kQueued;
    FormationPlan plan;
    RepartitionProgress times;
    int64_t start_ns = 0;
  };
  struct DrainJob {
    int64_t deadline_ns;
    std::function<void(DrainResponse)> reply;
    uint64_t finished_before;
    uint32_t cancelled = 0;
    bool expired = false;
  };

  // coordinator.cc: requests.
  absl::StatusOr<std::unique_ptr<Request>> Accept(const GenerateRequest& request);
  void OnFinished(uint64_t epoch, std::vector<uint64_t> ids) override;
  void OnStopped(uint64_t epoch, absl::Status cause,
                 std::vector<std::unique_ptr<Request>> live) override;
  void Post(absl::AnyInvocable<void()> task);
  void Run();
  void Tick();
  void Take(std::unique_ptr<Request> request);
  void Enqueue(std::unique_ptr<Request> request);
  void CancelNow(uint64_t id);
  void TakeBack(std::unique_ptr<Request> request, const absl::Status& cause);
  // Ends a request that was taken but not queued: it counts as refused.
  void Refuse(Request& request, const absl::Status& status);
  void EndCancelled(Request& request);
  void PlaceWaiting();
  void ExpireWaiting(int64_t now_ns);
  void CheckDrains(int64_t now_ns);
  void SetAdmission(absl::Status status) ABSL_LOCKS_EXCLUDED(admission_mutex_);

  // coordinator_constraints.cc
  using Compiled = absl::StatusOr<std::unique_ptr<OutputConstraint>>;
  void Compile(std::unique_ptr<Request> request);
  void OnCompiled(uint64_t id, Compiled compiled);

  // coordinator_start.cc: the first ones.
  Formation FormAtStart();
  void WarnOfGraphsOnCpu(const FormationPlan& plan) const;
  // coordinator_groups.cc: groups come and go.
  void GroupStopped(uint64_t epoch, const absl::Status& cause,
                    std::vector<std::unique_ptr<Request>> live);
  void AddGroups(Formation& formation);
  EngineOptions MakeEngineOptions(const FormationPlan& plan, const FormedGroup& group) const;
  void RunJob(std::function<Formation()> work, std::function<void(Formation)> then);
  Formation FormNow(const Layout& layout, const Limits& asked, const std::set<size_t>& busy,
                    absl::Duration describe_timeout, absl::Duration form_timeout, bool wait);
  void Build(FormationPlan plan, absl::Duration timeout, Formation& formation);
  void Restore(int64_t now_ns);
  void GiveWorkersBack();
  FormProgressSink ProgressSink();
  void UpdateServing();
  // coordinator_repartition.cc
  void ContinueRepartition();
  void OnRepartitionPlanned(Formation formation);
  void FormRepartition();
  void OnRepartitioned(Formation formation);
  void FinishRepartition(absl::Status status);
  // coordinator_state.cc: what people see.
  ClusterDescription DescribeNow() const;
  ClusterState StateNow() const;
  std::string Phase() const;

  void Log(const std::string& line) const {
    if (options_.log) options_.log(line);
  }

  const CoordinatorOptions options_;
  const ModelSpec& spec_;
  const Tokenizer* const tokenizer_;
  Pool& pool_;
  const RealClock clock_;
  RouterMetrics metrics_;

  std::atomic<uint64_t> next_id_ = 1;
  std::atomic<uint32_t> in_transit_ = 0;  // submitted, not yet in placement
  mutable absl::Mutex admission_mutex_;
  absl::Status admission_ ABSL_GUARDED_BY(admission_mutex_);  // why requests are refused
  uint32_t max_seq_len_ ABSL_GUARDED_BY(admission_mutex_) = 0;
  uint32_t max_num_tokens_ ABSL_GUARDED_BY(admission_mutex_) = 0;

  BoundedQueue<absl::AnyInvocable<void()>> inbox_;

  // Of the job thread while a job runs, of the coordinator's thread otherwise.
  Former former_;
  std::thread job_;

  // Of the coordinator's thread.
  CompilingRequests compiling_;
  uint32_t compilations_ = 0;  // that have not called back, whether or not their request has gone
  Placement placement_;
  std::map<uint64_t, Group> groups_;  // by epoch
  Layout layout_;                     // served, or to be restored
  Limits asked_limits_;               // zero fields are derived at each forming
  FormationPlan plan_;                // of the newest formation
  bool job_running_ = false;
  bool started_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  bool serving_ = false;
  std::optional<RepartitionJob> repartition_;
  std::vector<DrainJob> drains_;
  absl::Status last_fault_;  // why there may be no group
  // Nobody outside can construct prompts whose cache keys collide.
  const uint64_t prefix_cache_secret_ = absl::Uniform<uint64_t>(absl::BitGen());
  int64_t no_group_since_ns_ = 0;
  int64_t last_formed_ns_ = 0;
  int64_t next_restore_ns_ = 0;
  uint64_t finished_ = 0;
  std::vector<PlannedGroup> parting_;  // stopped for good, to be dissolved
  SchedulerState retired_;             // counters of groups that are gone
  std::thread thread_;
};

}  // namespace regatta
