// Waiting for room and for the device; see step_flights.h.
#include "worker/step_flights.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// A backstop: the router fences a rank that is late long before this.
constexpr absl::Duration kLongestWait = absl::Minutes(5);
// Between two looks at the device: well below a step, well above what a look costs.
constexpr absl::Duration kPoll = absl::Microseconds(10);
constexpr int kPollsPerHealth = 100;

}  // namespace

absl::StatusOr<StepFlight*> StepFlights::Take() {
  absl::MutexLock lock(&mutex_);
  const bool room =
      mutex_.AwaitWithTimeout(absl::Condition(this, &StepFlights::HasRoom), kLongestWait);
  RETURN_IF_ERROR(aborted_);
  if (room) return &flights_[launched_ % flights_.size()];
  return absl::DeadlineExceededError(
      absl::StrCat(flights_.size(), " steps are on their way and none ends"));
}

void StepFlights::Launched() {
  absl::MutexLock lock(&mutex_);
  ++launched_;
}

absl::StatusOr<StepFlight*> StepFlights::Oldest(absl::FunctionRef<absl::Status()> health) {
  StepFlight* flight = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    CHECK_LT(collected_, launched_) << "Collect without Launch";
    flight = &flights_[collected_ % flights_.size()];
  }
  std::string fault;
  const absl::Time deadline = absl::Now() + kLongestWait;
  for (int poll = 1; !flight->marker->Passed(&fault); ++poll) {
    absl::SleepFor(kPoll);
    if (poll % kPollsPerHealth != 0) continue;
    RETURN_IF_ERROR(aborted());
    RETURN_IF_ERROR(health());
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("step ", flight->step_id, " does not end"));
    }
  }
  if (!fault.empty()) {
    return absl::InternalError(absl::StrCat("device fault in step ", flight->step_id, ": ", fault));
  }
  return flight;
}

void StepFlights::Collected() {
  absl::MutexLock lock(&mutex_);
  ++collected_;
}

bool StepFlights::none_under_way() const {
  absl::MutexLock lock(&mutex_);
  return launched_ == collected_;
}

void StepFlights::Abort(const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  if (aborted_.ok()) aborted_ = absl::UnavailableError(reason);
}

absl::Status StepFlights::aborted() const {
  absl::MutexLock lock(&mutex_);
  return aborted_;
}

}  // namespace regatta
