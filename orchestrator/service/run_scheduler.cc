// See run_scheduler.h.
#include "orchestrator/service/run_scheduler.h"

#include <iostream>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/service/run_paths.h"
#include "orchestrator/service/run_request.h"

namespace regatta {
namespace {

constexpr absl::Duration kHeldTimeout = absl::Seconds(60);
constexpr uint32_t kMaxRestarts = 100;  // over all lives of the service
constexpr uint32_t kMaxDeaths = 3;      // of a run's process in one of them, which it goes on after
constexpr absl::Duration kPauseAfterDeath = absl::Seconds(3);  // what killed it may still be there

}  // namespace

void RunScheduler::Tick() {
  for (auto next = active_.begin(); next != active_.end();) {
    Active& active = next->second;
    const std::optional<std::string> ended = active.process->Poll();
    Follow(active);
    if (ended.has_value()) Settle(active, *ended);
    next = ended.has_value() ? active_.erase(next) : std::next(next);
  }
  StartWhatMay();
}

void RunScheduler::StopAll() {
  for (auto& [id, active] : active_) active.process->Stop();
  while (!active_.empty()) {
    for (auto next = active_.begin(); next != active_.end();) {
      const bool ended = next->second.process->Poll().has_value();
      next = ended ? active_.erase(next) : std::next(next);
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

void RunScheduler::StartWhatMay() {
  std::set<std::string> ids;
  for (const auto& [id, active] : active_) ids.insert(id);
  for (RunSummary& run : book_.Startable(ids)) Start(std::move(run));
}

// What was running when the service or its process died goes on; the rest begins.
void RunScheduler::Start(RunSummary run) {
  if (run.state() == RUN_CANCELLING) return Fail(std::move(run), "");  // noted as cancelled
  const auto died = deaths_.find(run.id());
  if (died != deaths_.end() && absl::Now() < died->second.pause_ends) return;
  const RunPaths paths(book_.options().state_dir, run.id());
  const std::vector<std::string> given(run.flags().begin(), run.flags().end());
  const absl::StatusOr<std::vector<std::string>> flags =
      FlagsWithPaths(given, paths.input(), book_.options().data_dir);
  if (!flags.ok()) return Fail(std::move(run), std::string(flags.status().message()));
  const bool again = run.state() == RUN_RUNNING;
  if (again && run.restarts() >= kMaxRestarts) {
    return Fail(std::move(run), absl::StrCat("died ", run.restarts(), " times"));
  }
  absl::StatusOr<std::unique_ptr<RunProcess>> process =
      RunProcess::Start(options_, paths, run, *flags);
  if (!process.ok()) {
    const absl::Time since = held_since_.emplace(run.id(), absl::Now()).first->second;
    if (absl::IsUnavailable(process.status()) && absl::Now() - since < kHeldTimeout) return;
    return Fail(std::move(run), std::string(process.status().message()));
  }
  held_since_.erase(run.id());
  if (again) run.set_restarts(run.restarts() + 1);
  if (!again) run.set_started_utc(UtcTimestamp());
  run.set_state(RUN_RUNNING);
  if (!book_.Note(run).ok()) return;  // cancelled meanwhile: the process goes with its owner
  std::cerr << "run " << run.id() << (again ? " goes on" : " starts") << " on " << run.target()
            << "\n";
  Active& active = active_[run.id()];
  active.run = std::move(run);
  active.process = *std::move(process);
}

void RunScheduler::Fail(RunSummary run, const std::string& error) {
  held_since_.erase(run.id());
  deaths_.erase(run.id());
  run.set_state(RUN_FAILED);
  run.set_error(error);
  run.set_ended_utc(UtcTimestamp());
  std::cerr << "run " << run.id() << " ends: " << error << "\n";
  book_.Note(run).IgnoreError();  // asked again at the next tick when it cannot be written
}

void RunScheduler::Follow(Active& active) {
  book_.NoteLine(active.run.id(), active.process->line());
  if (active.process->Refresh(active.run)) book_.Note(active.run).IgnoreError();
  if (active.stopped) return;
  const absl::StatusOr<RunSummary> known = book_.Get(active.run.id());
  active.stopped = known.ok() && known->state() == RUN_CANCELLING;
  if (active.stopped) active.process->Stop();
}

bool RunScheduler::GoesOn(const Active& active, const std::string& ended) {
  Deaths& deaths = deaths_[active.run.id()];
  if (++deaths.count > kMaxDeaths) return false;
  deaths.pause_ends = absl::Now() + kPauseAfterDeath;
  book_.NoteLine(active.run.id(), absl::StrCat("its process ended: ", ended, "; it goes on in ",
                                               absl::FormatDuration(kPauseAfterDeath)));
  std::cerr << "run " << active.run.id() << ": its process ended: " << ended << "\n";
  return true;
}

// A process that was interrupted or killed, though nobody cancelled it, goes on after a pause. What
// it said last is then no reason.
void RunScheduler::Settle(const Active& active, const std::string& ended) {
  RunSummary run = active.run;
  const bool died = ended == "exit code 130" || absl::StartsWith(ended, "signal ");
  if (died && !active.stopped) {
    if (GoesOn(active, ended)) return;
    return Fail(std::move(run),
                absl::StrCat(ended, ", after it went on ", kMaxDeaths,
                             " times: `journalctl -k` on the service's host tells of processes "
                             "that crashed, or were killed for want of memory"));
  }
  const bool measured = ended == "exit code 0" || ended == "exit code 3";
  if (!measured && !active.stopped) {
    const std::string why = active.process->Error();
    return Fail(std::move(run), why.empty() ? ended : absl::StrCat(ended, ": ", why));
  }
  run.set_state(measured ? RUN_DONE : RUN_CANCELLED);
  deaths_.erase(run.id());
  run.set_ended_utc(UtcTimestamp());
  std::cerr << "run " << run.id() << (measured ? " is done\n" : " was cancelled\n");
  book_.Note(run).IgnoreError();  // asked again at the next tick when it cannot be written
}

}  // namespace regatta
