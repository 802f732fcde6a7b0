// Launching, re-forming, measuring; see session_bench.h.
#include "orchestrator/partition/session_bench.h"

#include <cmath>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/config.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "orchestrator/cluster/cluster_client.h"

namespace regatta {
namespace {

// Whether another layout could fare better: what a command line or a host lacks, it lacks for all.
bool IsOfTheLayout(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kCancelled:
      return false;
    default:
      return true;
  }
}

// What flags and configuration ask of every layout; zero is derived for each.
absl::StatusOr<Limits> AskedLimits(const ClusterOptions& options) {
  ServerConfig config;
  std::vector<std::string> ignored;
  if (!options.config.empty()) RETURN_IF_ERROR(LoadServerConfig(options.config, config, ignored));
  Limits limits;
  limits.set_max_batch_size(options.max_batch_size.value_or(config.max_batch_size()));
  limits.set_max_num_tokens(options.max_num_tokens.value_or(config.max_num_tokens()));
  return limits;
}

}  // namespace

absl::Status SessionBench::Join() {
  ASSIGN_OR_RETURN(session_, BenchmarkSession::Open(options_, record_, stop_));
  return NoteOriginal();
}

// As the journal has it from when the run was begun: a run that was killed left its pool in any
// layout.
absl::Status SessionBench::NoteOriginal() {
  const WorldInfo& world = sweep().journal().identity().world_info();
  original_.emplace();
  ASSIGN_OR_RETURN(*original_->mutable_layout(),
                   MakeLayout(world.tp_size(), world.pp_size(), world.ep_size(), world.dp_size()));
  original_->mutable_limits()->set_max_batch_size(world.max_batch_size());
  original_->mutable_limits()->set_max_num_tokens(world.max_num_tokens());
  original_->mutable_limits()->set_max_seq_len(
      session_->serving().description.limits().max_seq_len());
  return absl::OkStatus();
}

absl::StatusOr<double> SessionBench::Form(const Candidate& candidate) {
  const absl::Time start = absl::Now();
  const bool here = options_.url.empty();
  const bool launch =
      here && (session_ == nullptr || broken_ || candidate.precision.name != precision_);
  RETURN_IF_ERROR(launch ? Launch(candidate) : Reform(candidate));
  return absl::ToDoubleSeconds(absl::Now() - start);
}

absl::Status SessionBench::Launch(const Candidate& candidate) {
  broken_ = true;
  precision_ = candidate.precision.name;
  if (session_ != nullptr) {
    RETURN_IF_ERROR(session_->Relaunch(ClusterOf(candidate)));
    broken_ = false;
    return absl::OkStatus();
  }
  BenchmarkOptions options = options_;
  options.cluster = ClusterOf(candidate);
  absl::StatusOr<std::unique_ptr<BenchmarkSession>> session =
      BenchmarkSession::Open(std::move(options), record_, stop_);
  if (!session.ok()) {
    if (!IsOfTheLayout(session.status())) refused_ = session.status();
    return session.status();
  }
  session_ = *std::move(session);
  // What was concluded before anything had to be measured.
  session_->mutable_sweep().mutable_partition()->Swap(early_.mutable_partition());
  session_->mutable_sweep().mutable_points()->Swap(early_.mutable_points());
  broken_ = false;
  return absl::OkStatus();
}

absl::Status SessionBench::Reform(const Candidate& candidate) {
  const ClusterDescription& now = session_->serving().description;
  if (LayoutName(now.layout()) == LayoutName(candidate.layout)) return absl::OkStatus();
  RepartitionRequest request;
  *request.mutable_layout() = candidate.layout;
  ASSIGN_OR_RETURN(*request.mutable_limits(), AskedLimits(options_.cluster));
  request.mutable_limits()->set_max_seq_len(now.limits().max_seq_len());
  request.set_timeout_ms(
      static_cast<uint32_t>(std::lround(options_.cluster.launch_timeout_s * 1e3)));
  const absl::Status reformed = session_->Reform(request);
  if (!reformed.ok()) broken_ = !Serves().ok();
  return reformed;
}

absl::Status SessionBench::Serves() const {
  RETURN_IF_ERROR(session_->serving().Check());
  return CheckHealth(session_->serving().channel, absl::Seconds(5));
}

absl::Status SessionBench::Measure(const Candidate& candidate, const ExperimentStage& stage,
                                   const PlannedLoad& load, absl::Span<const PlannedLoad> after) {
  CHECK(session_ != nullptr);
  RegattaInfo marks;
  marks.set_precision(candidate.precision.name);
  marks.set_halving_round(stage.round);
  session_->Mark(stage.title, std::move(marks));
  const int runs_before = sweep().runs_size();
  const absl::Status measured = session_->Measure(load, after);
  const absl::Status status = measured.ok() ? CheckLast(runs_before) : measured;
  if (!status.ok()) broken_ = true;
  return status;
}

void SessionBench::Expect(std::vector<LoadPoint> loads, double forming_s) {
  CHECK(session_ != nullptr);
  session_->Expect(std::move(loads), forming_s);
}

// A layout of which a rank died answers other requests by luck alone.
absl::Status SessionBench::CheckLast(int runs_before) {
  if (sweep().runs_size() == runs_before) return absl::OkStatus();
  const PointReport& last = *sweep().runs().rbegin();
  if (last.regatta().failed_requests() == 0 || stop_.load()) return absl::OkStatus();
  RETURN_IF_ERROR(Serves());
  if (last.request_info().num_requests() > 0) return absl::OkStatus();
  const auto& errors = last.regatta().errors();
  return absl::UnavailableError(
      absl::StrCat("no request completed: ", errors.empty() ? "" : errors.begin()->first));
}

absl::Status SessionBench::Usable() {
  RETURN_IF_ERROR(refused_);
  if (options_.url.empty() || session_ == nullptr) return absl::OkStatus();
  const absl::Status check = session_->serving().Check();
  if (check.ok()) return check;
  return absl::Status(check.code(), absl::StrCat(session_->serving().Name(),
                                                 " does not serve any more: ", check.message()));
}

absl::Status SessionBench::Restore() {
  if (!original_.has_value()) return absl::OkStatus();
  std::cerr << "Giving the pool its layout back: " << LayoutName(original_->layout()) << "\n";
  RepartitionRequest request = *original_;
  request.set_timeout_ms(
      static_cast<uint32_t>(std::lround(options_.cluster.launch_timeout_s * 1e3)));
  return session_->Reform(request);
}

ClusterOptions SessionBench::ClusterOf(const Candidate& candidate) const {
  ClusterOptions cluster = WithPrecision(candidate.precision, options_.cluster);
  cluster.tp = candidate.layout.attention_tp();
  cluster.pp = candidate.layout.pp();
  cluster.ep = candidate.layout.expert_ep();
  cluster.dp = candidate.layout.copies();
  cluster.pool = ranks_;
  return cluster;
}

}  // namespace regatta
