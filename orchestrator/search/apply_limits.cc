// Change, measure, keep or put back; see apply_limits.h.
#include "orchestrator/search/apply_limits.h"

#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/search/load_search.h"
#include "orchestrator/search/tuned_limits.h"
#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

// The same layout under other limits.
absl::Status GiveLimits(const TunedLimits& limits, BenchmarkSession& session) {
  RepartitionRequest request;
  *request.mutable_layout() = session.serving().description.layout();
  request.mutable_limits()->set_max_batch_size(limits.max_batch_size());
  request.mutable_limits()->set_max_num_tokens(limits.max_num_tokens());
  request.mutable_limits()->set_max_seq_len(limits.max_seq_len());
  request.set_timeout_ms(static_cast<uint32_t>(session.options().cluster.launch_timeout_s * 1e3));
  std::cerr << "Giving the server max_batch_size " << limits.max_batch_size() << ", max_num_tokens "
            << limits.max_num_tokens() << "\n";
  return session.Reform(request);
}

bool SameLimits(const TunedLimits& a, const TunedLimits& b) {
  return a.max_batch_size() == b.max_batch_size() && a.max_num_tokens() == b.max_num_tokens() &&
         a.max_seq_len() == b.max_seq_len();
}

absl::Status MeasureTuned(const Goal& goal, size_t runs, BenchmarkSession& session,
                          const std::atomic<bool>& stop) {
  Recommendation& answer = *session.mutable_sweep().mutable_recommendation();
  AppliedLimits& applied = *answer.mutable_applied();
  const uint32_t users = answer.concurrency();
  for (size_t run = RunsOf(session.sweep(), kTunedRole, users).size(); run < runs; ++run) {
    const std::vector<uint32_t> all = RunsOfAnswer(users, runs, /*apply=*/false);
    ExpectLoads(absl::MakeSpan(all).subspan(run + 1), session);
    RETURN_IF_ERROR(MeasureOnce(users, run + 1, kTunedRole, session, stop));
  }
  *applied.mutable_tuned() = FiguresOf(goal, RunsOf(session.sweep(), kTunedRole, users));
  ExpectLoads({}, session);
  for (const uint32_t overload : OverloadsOf(users)) {
    if (RunsOf(session.sweep(), kTunedRole, overload).empty()) {
      RETURN_IF_ERROR(MeasureOnce(overload, 1, kTunedRole, session, stop));
    }
    *applied.add_overload() = FiguresOf(goal, RunsOf(session.sweep(), kTunedRole, overload));
  }
  return absl::OkStatus();
}

// And where the tuned limits are to be had from now on.
std::string Kept(const BenchmarkSession& session) {
  const LoadFigures& tuned = session.sweep().recommendation().applied().tuned();
  return absl::StrCat("no figure of the goal got worse, which is met in ", tuned.runs_meeting(),
                      " of ", tuned.runs(), " runs; ",
                      session.serving().local == nullptr
                          ? "the server at --url keeps them"
                          : "the server launched here ends with this command, serve with "
                            "tuned.yaml");
}

std::string WhatGotWorse(const Goal& goal, Runs before, const SweepReport& sweep) {
  return WorseFigure(goal, before, RunsOf(sweep, kTunedRole, sweep.recommendation().concurrency()));
}

// `status` is why, or OK where `worse` is. Interrupted, the server is not awaited (CANCELLED).
absl::Status PutBack(const std::string& worse, const absl::Status& status,
                     BenchmarkSession& session) {
  Recommendation& answer = *session.mutable_sweep().mutable_recommendation();
  const absl::Status back = GiveLimits(answer.measured_limits(), session);
  if (back.ok() || absl::IsCancelled(back)) {
    answer.mutable_applied()->set_verdict(worse + "; the limits of before were put back");
    return status;
  }
  answer.mutable_applied()->set_verdict(
      absl::StrCat(worse, "; the limits of before could NOT be put back: ", back.message()));
  return status.ok() ? back : status;
}

}  // namespace

absl::Status ApplyLimits(const Goal& goal, Runs before, BenchmarkSession& session,
                         const std::atomic<bool>& stop) {
  Recommendation& answer = *session.mutable_sweep().mutable_recommendation();
  AppliedLimits& applied = *answer.mutable_applied();
  if (SameLimits(answer.measured_limits(), answer.tuned_limits())) {
    applied.set_kept(true);
    applied.set_verdict("the server has these limits already");
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(session.KeepRecommendation());  // who is killed from here on must know both
  const absl::Time start = absl::Now();
  const absl::Status reformed = GiveLimits(answer.tuned_limits(), session);
  applied.set_seconds(absl::ToDoubleSeconds(absl::Now() - start));
  if (!reformed.ok() && !absl::IsCancelled(reformed)) {
    applied.set_verdict(absl::StrCat("the server kept its own: ", reformed.message()));
    return reformed;
  }
  absl::Status status = reformed;
  if (status.ok()) status = MeasureTuned(goal, before.size(), session, stop);
  const std::string worse =
      status.ok() ? WhatGotWorse(goal, before, session.sweep()) : std::string(status.message());
  if (!worse.empty()) return PutBack(worse, status, session);
  applied.set_kept(true);
  applied.set_verdict(Kept(session));
  return absl::OkStatus();
}

absl::Status TakeBackLimits(const Recommendation& begun, BenchmarkSession& session) {
  const TunedLimits now = LimitsOf(session.serving().description);
  if (!begun.has_tuned_limits() || !SameLimits(now, begun.tuned_limits()) ||
      SameLimits(now, begun.measured_limits())) {
    return absl::OkStatus();
  }
  return GiveLimits(begun.measured_limits(), session);
}

}  // namespace regatta
