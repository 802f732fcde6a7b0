// Groups come and go: forming, fencing, re-forming after a fault; see coordinator.h.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "common/form_progress.h"
#include "common/layout.h"
#include "common/parallel.h"
#include "common/size_text.h"
#include "router/cluster/coordinator.h"

namespace regatta {
namespace {

constexpr absl::Duration kRestoreInterval = absl::Seconds(1);

// To the millisecond: "12.345s", "3ms".
std::string SecondsText(double seconds) {
  return absl::FormatDuration(absl::Ceil(absl::Seconds(seconds), absl::Milliseconds(1)));
}

std::string GraphsText(const Formed& formed) {
  if (formed.num_graphs() == 0) return "";
  return absl::StrCat(", ", formed.num_graphs(), " graphs in ", SizeText(formed.graph_bytes()));
}

// When each rank's progress was last told; groups form in parallel.
class LastSaid {
 public:
  bool IsNews(const std::string& rank, const FormProgress& progress, int64_t now_ns) {
    constexpr int64_t kEveryNs = 1'000'000'000;
    absl::MutexLock lock(&mutex_);
    auto& [stage, said_ns] = of_rank_[rank];
    if (stage == progress.stage() && now_ns - said_ns < kEveryNs) return false;
    stage = progress.stage();
    said_ns = now_ns;
    return true;
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::pair<std::string, int64_t>> of_rank_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

// ---- Jobs. `work` runs on the job thread, `then` on the coordinator's.

void Coordinator::RunJob(std::function<Formation()> work, std::function<void(Formation)> then) {
  CHECK(!job_running_);
  job_running_ = true;
  job_ = std::thread([this, work = std::move(work), then = std::move(then)] {
    Formation formation = work();
    Post([this, then, formation = std::move(formation)]() mutable {
      job_.join();
      job_running_ = false;
      then(std::move(formation));
    });
  });
}

void Coordinator::Build(FormationPlan plan, absl::Duration timeout, Formation& formation) {
  const int64_t start_ns = clock_.NowNs();
  former_.Dissolve(plan);
  const int64_t dissolved_ns = clock_.NowNs();
  auto groups = former_.Form(plan, timeout, ProgressSink());
  formation.dissolve_seconds += absl::ToDoubleSeconds(absl::Nanoseconds(dissolved_ns - start_ns));
  formation.form_seconds += absl::ToDoubleSeconds(absl::Nanoseconds(clock_.NowNs() - dissolved_ns));
  formation.plan = std::move(plan);
  formation.status = groups.status();
  if (groups.ok()) formation.groups = *std::move(groups);
}

Coordinator::Formation Coordinator::FormNow(const Layout& layout, const Limits& asked,
                                            const std::set<size_t>& busy,
                                            absl::Duration describe_timeout,
                                            absl::Duration form_timeout, bool wait) {
  Formation formation;
  auto plan = former_.Plan(layout, asked, busy, describe_timeout, wait);
  formation.status = plan.status();
  if (plan.ok()) Build(*std::move(plan), form_timeout, formation);
  return formation;
}

// People hear the stages of each group's first rank, the others go the same way: that one begins,
// and how far it is every second.
FormProgressSink Coordinator::ProgressSink() {
  auto last_said = std::make_shared<LastSaid>();
  return [this, last_said](const RankEndpoint& rank, const FormProgress& progress) {
    if (rank.rank > 0) return;
    if (progress.has_formed()) {
      const Formed& formed = progress.formed();
      Log(absl::StrCat(rank.Name(), ": formed; ", SizeText(formed.weight_bytes()),
                       " of weights in ", SecondsText(formed.load_seconds()),
                       formed.num_graphs() > 0
                           ? absl::StrCat(", graphs in ", SecondsText(formed.capture_seconds()))
                           : ""));
    } else if (last_said->IsNews(rank.Name(), progress, clock_.NowNs())) {
      Log(FormStageLine({rank.Name(), progress.stage(), progress.fraction()}));
    }
  };
}

// ---- Groups.

EngineOptions Coordinator::MakeEngineOptions(const FormationPlan& plan,
                                             const FormedGroup& group) const {
  EngineOptions options;
  options.epoch = group.plan.epoch;
  options.inbox_capacity = options_.engine_inbox_capacity;
  options.vocab_size = spec_.vocab_size;
  options.step_timeout = options_.step_timeout;
  if (options.step_timeout == absl::ZeroDuration()) {
    options.step_timeout = absl::Seconds(plan.on_device ? 2 : 30);
  }
  SchedulerOptions& scheduler = options.scheduler;
  scheduler.limits = plan.request.limits();
  scheduler.block_size = plan.request.block_size();
  scheduler.num_blocks = group.formed.kv_blocks();
  // No sequence may outgrow the whole cache.
  scheduler.limits.set_max_seq_len(
      std::min(scheduler.limits.max_seq_len(), scheduler.num_blocks * scheduler.block_size));
  scheduler.stages = std::max(1u, plan.layout.pp());
  scheduler.max_inflight = plan.request.max_inflight();
  scheduler.sampling_rows = plan.request.sampling_rows();
  scheduler.prefix_cache = options_.prefix_cache;
  scheduler.prefix_cache_secret = prefix_cache_secret_;
  scheduler.chunked_prefill = options_.former.limits.chunked_prefill;
  scheduler.pace_prompts = options_.pace_prompts;
  return options;
}

void Coordinator::AddGroups(Formation& formation) {
  uint32_t max_seq_len = 0;
  {
    absl::MutexLock lock(&admission_mutex_);
    max_seq_len = max_seq_len_;
  }
  std::set<uint32_t> taken;
  for (const auto& [epoch, group] : groups_) taken.insert(group.index);
  for (FormedGroup& formed : formation.groups) {
    Group group;
    while (!taken.insert(group.index).second) ++group.index;
    EngineOptions options = MakeEngineOptions(formation.plan, formed);
    const uint64_t epoch = formed.plan.epoch;
    options.metrics =
        metrics_.AddGroup(epoch, {.index = group.index,
                                  .num_ranks = static_cast<uint32_t>(formed.plan.workers.size()),
                                  .kv_blocks = options.scheduler.num_blocks,
                                  .block_size = options.scheduler.block_size,
                                  .kv_cache_dtype = formed.formed.kv_cache_dtype()});
    group.metrics = options.metrics;
    if (groups_.empty() || options.scheduler.limits.max_seq_len() < max_seq_len) {
      max_seq_len = options.scheduler.limits.max_seq_len();
    }
    Log(absl::StrCat("group ", group.index, " (epoch ", epoch,
                     ") serves: ", formed.formed.kv_blocks(), " KV blocks of ",
                     options.scheduler.block_size, " tokens", GraphsText(formed.formed)));
    group.engine = std::make_unique<EngineLoop>(
        options,
        pool_.Connect(formed.plan.workers, epoch, formation.plan.on_device, options.metrics),
        clock_, static_cast<EngineOwner&>(*this));
    group.formed = std::move(formed);
    groups_.emplace(epoch, std::move(group));
    // A few more than fit, so that a slot that becomes free is taken in the next plan.
    const uint32_t slots = options.scheduler.limits.max_batch_size();
    placement_.AddGroup(epoch, slots + std::max(16u, slots / 4));
  }
  const Limits& limits = formation.plan.request.limits();
  Log(absl::StrCat("limits: max_batch_size ", limits.max_batch_size(), ", max_num_tokens ",
                   limits.max_num_tokens(), ", max_seq_len ", max_seq_len));
  last_formed_ns_ = clock_.NowNs();
  plan_ = std::move(formation.plan);
  {
    absl::MutexLock lock(&admission_mutex_);
    max_seq_len_ = max_seq_len;
    max_num_tokens_ = plan_.request.limits().max_num_tokens();
    if (!draining_ && !stopping_) admission_ = absl::OkStatus();
  }
  if (stopping_) {
    for (auto& [epoch, group] : groups_) group.engine->Stop();
  }
  UpdateServing();
}

void Coordinator::GroupStopped(uint64_t epoch, const absl::Status& cause,
                               std::vector<std::unique_ptr<Request>> live) {
  auto node = groups_.extract(epoch);
  Group& group = node.mapped();
  placement_.RemoveGroup(epoch);
  metrics_.RemoveGroup(epoch);
  const SchedulerState counters = group.engine->state();
  retired_.preemptions += counters.preemptions;
  retired_.steps += counters.steps;
  retired_.prompt_tokens += counters.prompt_tokens;
  retired_.cached_tokens += counters.cached_tokens;
  retired_.output_tokens += counters.output_tokens;
  if (repartition_) {
    for (const auto& request : live) {
      repartition_->times.set_live_sequences(repartition_->times.live_sequences() +
                                             (request->output.started() ? 1 : 0));
    }
  }
  if (!cause.ok()) {
    last_fault_ = cause;
    Log(absl::StrCat("group ", group.index, " (epoch ", epoch, ") is fenced: ", cause.message(),
                     "; ", live.size(), " sequences move"));
  }
  for (std::unique_ptr<Request>& request : live) TakeBack(std::move(request), cause);
  if (stopping_) parting_.push_back(std::move(group.formed.plan));
  if (groups_.empty()) no_group_since_ns_ = clock_.NowNs();
  // At once, unless it has only just been formed: then there is something wrong with its workers.
  next_restore_ns_ = last_formed_ns_ + absl::ToInt64Nanoseconds(kRestoreInterval);
  UpdateServing();
}

// Forms again what the layout lacks: all missing groups, or as many as there are workers for.
void Coordinator::Restore(int64_t now_ns) {
  const size_t copies = std::max(1u, layout_.copies());
  if (!started_ || stopping_ || job_running_ || repartition_) return;
  if (groups_.size() >= copies || now_ns < next_restore_ns_) return;
  std::set<size_t> busy;
  for (const auto& [epoch, group] : groups_) {
    busy.insert(group.formed.plan.workers.begin(), group.formed.plan.workers.end());
  }
  Layout missing = layout_;
  missing.set_copies(copies - groups_.size());
  const Limits limits = plan_.request.limits();
  RunJob(
      [this, missing, limits, busy]() mutable {
        Formation formation;
        for (; missing.copies() > 0; missing.set_copies(missing.copies() - 1)) {
          formation =
              FormNow(missing, limits, busy, kDescribeTimeout, options_.form_timeout, false);
          if (formation.status.ok() || missing.copies() == 1) break;
        }
        return formation;
      },
      [this](Formation formation) {
        next_restore_ns_ = clock_.NowNs() + absl::ToInt64Nanoseconds(kRestoreInterval);
        if (formation.status.ok()) {
          AddGroups(formation);
        } else if (formation.status != last_fault_) {
          last_fault_ = formation.status;
          Log(absl::StrCat("cannot re-form: ", formation.status.message()));
        }
      });
}

void Coordinator::UpdateServing() {
  const bool serving = !draining_ && !stopping_ && (!groups_.empty() || repartition_.has_value());
  if (serving == serving_) return;
  serving_ = serving;
  if (options_.on_serving) options_.on_serving(serving);
}

void Coordinator::GiveWorkersBack() {
  InParallel(parting_.size(), [this](size_t i) {
    pool_.Dissolve(parting_[i].workers, parting_[i].epoch).IgnoreError();
  });
}

}  // namespace regatta
