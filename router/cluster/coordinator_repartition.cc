// Repartition: plan the new layout while serving, hand everything back, form, go on from the
// tokens; see coordinator.h.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/layout.h"
#include "router/cluster/coordinator.h"

namespace regatta {
namespace {

constexpr absl::Duration kRepartitionTimeout = absl::Seconds(120);

// Every group must be able to hold the longest live sequence alone.
absl::Status CheckHolds(const std::vector<FormedGroup>& groups, uint32_t block_size,
                        uint32_t longest) {
  for (const FormedGroup& group : groups) {
    const uint64_t tokens = uint64_t{group.formed.kv_blocks()} * block_size;
    if (tokens >= longest) continue;
    return absl::ResourceExhaustedError(absl::StrCat("a live sequence may need ", longest,
                                                     " tokens; the KV cache of the new ",
                                                     "layout holds ", tokens));
  }
  return absl::OkStatus();
}

// Whether what is live may run under the new limits; without chunks a prompt must fit one step.
absl::Status CheckFits(const Placement& live, const Limits& limits, bool chunked_prefill) {
  const uint32_t longest = live.LongestSequence(), prompt = live.LongestPrompt();
  if (longest > limits.max_seq_len()) {
    return absl::InvalidArgumentError(absl::StrCat("a live sequence may need ", longest,
                                                   " tokens, over the new max_seq_len ",
                                                   limits.max_seq_len()));
  }
  if (!chunked_prefill && prompt > limits.max_num_tokens()) {
    return absl::InvalidArgumentError(
        absl::StrCat("without chunked prefill a live prompt of ", prompt,
                     " tokens exceeds the new max_num_tokens ", limits.max_num_tokens()));
  }
  return absl::OkStatus();
}

double Seconds(int64_t from_ns, int64_t to_ns) {
  return absl::ToDoubleSeconds(absl::Nanoseconds(to_ns - from_ns));
}

}  // namespace

void Coordinator::Repartition(RepartitionRequest request, RepartitionSink progress, DoneSink done) {
  Post([this, request = std::move(request), progress = std::move(progress),
        done = std::move(done)]() mutable {
    if (repartition_ || draining_ || stopping_) {
      done(absl::FailedPreconditionError(
          draining_ || stopping_ ? "the router is draining: it takes no more layouts"
                                 : "another repartition is under way: try again when it is done"));
      return;
    }
    RepartitionJob job;
    job.request = std::move(request);
    job.progress = std::move(progress);
    job.done = std::move(done);
    job.start_ns = clock_.NowNs();
    repartition_ = std::move(job);
  });
}

void Coordinator::ContinueRepartition() {
  if (!repartition_ || job_running_) return;
  if (stopping_) return FinishRepartition(absl::UnavailableError("the router is stopping"));
  if (repartition_->stage == RepartitionJob::kQueued) {
    repartition_->stage = RepartitionJob::kPlanning;
    const RepartitionRequest& request = repartition_->request;
    const absl::Status room =
        CheckPoolSize(spec_, request.layout(), static_cast<uint32_t>(pool_.size()));
    if (!room.ok()) return FinishRepartition(room);
    const Limits asked = request.keep_limits() ? plan_.request.limits() : request.limits();
    RunJob(
        [this, layout = request.layout(), asked] {
          Formation formation;
          auto plan = former_.Plan(layout, asked, {}, kDescribeTimeout, false);
          formation.status = plan.status();
          if (plan.ok()) formation.plan = *std::move(plan);
          return formation;
        },
        [this](Formation formation) { OnRepartitionPlanned(std::move(formation)); });
  } else if (repartition_->stage == RepartitionJob::kDraining && groups_.empty()) {
    FormRepartition();
  }
}

void Coordinator::OnRepartitionPlanned(Formation formation) {
  absl::Status status = formation.status;
  const Limits limits = formation.plan.request.limits();
  if (status.ok()) {
    status = CheckFits(placement_, limits, options_.former.limits.chunked_prefill);
  }
  if (!status.ok()) return FinishRepartition(status);
  repartition_->plan = std::move(formation.plan);
  repartition_->stage = RepartitionJob::kDraining;
  {
    // What comes from now on must fit both layouts.
    absl::MutexLock lock(&admission_mutex_);
    max_seq_len_ = std::min(max_seq_len_, limits.max_seq_len());
    max_num_tokens_ = std::min(max_num_tokens_, limits.max_num_tokens());
  }
  RepartitionProgress progress;
  progress.set_stage("draining");
  repartition_->progress(progress);
  for (auto& [epoch, group] : groups_) {
    placement_.RemoveGroup(epoch);
    group.engine->Stop();
  }
}

void Coordinator::FormRepartition() {
  RepartitionJob& job = *repartition_;
  job.stage = RepartitionJob::kForming;
  job.times.set_stage("dissolving");
  job.times.set_drain_seconds(Seconds(job.start_ns, clock_.NowNs()));
  job.progress(job.times);
  job.times.set_stage("forming");
  job.progress(job.times);
  const absl::Duration timeout = job.request.timeout_ms() > 0
                                     ? absl::Milliseconds(job.request.timeout_ms())
                                     : kRepartitionTimeout;
  RunJob(
      [this, plan = job.plan, timeout, old_layout = layout_, old_limits = plan_.request.limits(),
       longest = placement_.LongestSequence()] {
        Formation formation;
        Build(plan, timeout, formation);
        if (formation.status.ok()) {
          formation.status =
              CheckHolds(formation.groups, formation.plan.request.block_size(), longest);
        }
        if (formation.status.ok()) return formation;
        Formation fallback = FormNow(old_layout, old_limits, {}, kDescribeTimeout, timeout, false);
        fallback.fell_back = fallback.status.ok();
        fallback.status = formation.status;
        return fallback;
      },
      [this](Formation formation) { OnRepartitioned(std::move(formation)); });
}

void Coordinator::OnRepartitioned(Formation formation) {
  RepartitionJob& job = *repartition_;
  if (formation.status.ok() || formation.fell_back) {
    if (formation.status.ok()) {
      layout_ = job.request.layout();
      Log(absl::StrCat("repartitioned to ", LayoutName(layout_)));
    }
    AddGroups(formation);
  } else {
    no_group_since_ns_ = clock_.NowNs();
    last_fault_ = formation.status;
  }
  job.times.set_stage(formation.status.ok() ? "recomputing" : "forming");
  job.times.set_fraction(1);
  job.times.set_dissolve_seconds(formation.dissolve_seconds);
  job.times.set_form_seconds(formation.form_seconds);
  job.progress(job.times);
  if (formation.status.ok()) return FinishRepartition(absl::OkStatus());
  FinishRepartition(absl::Status(
      formation.status.code(),
      absl::StrCat("forming ", LayoutName(job.request.layout()),
                   " failed: ", formation.status.message(), "; ",
                   formation.fell_back ? "serving as before with " : "trying to restore ",
                   LayoutName(layout_))));
}

void Coordinator::FinishRepartition(absl::Status status) {
  RepartitionJob job = *std::move(repartition_);
  repartition_.reset();
  if (status.ok()) {
    job.times.set_stage("done");
    job.times.set_total_seconds(Seconds(job.start_ns, clock_.NowNs()));
    job.progress(job.times);
  } else {
    Log(absl::StrCat("repartition: ", status.message()));
  }
  job.done(std::move(status));
  UpdateServing();
}

}  // namespace regatta
