// Putting and taking masks; see sample_inputs.h.
#include "worker/sample_inputs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr absl::Duration kHealthInterval = absl::Milliseconds(10);

}  // namespace

absl::Status SampleInputs::Put(SampleInput input) {
  absl::MutexLock lock(&mutex_);
  if (masks_.size() >= kMaxQueued) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the masks of ", masks_.size(), " steps wait; the group runs fewer"));
  }
  const uint64_t step_id = input.step_id();
  if (masks_.emplace(step_id, std::move(*input.mutable_masks())).second) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the masks of step ", step_id, " came twice"));
}

absl::StatusOr<std::string> SampleInputs::Await(uint64_t step_id,
                                                absl::FunctionRef<absl::Status()> health) {
  const absl::Time deadline = absl::Now() + timeout_;
  absl::MutexLock lock(&mutex_);
  masks_.erase(masks_.begin(), masks_.lower_bound(step_id));
  const auto ready = [this, step_id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || masks_.contains(step_id);
  };
  const absl::Condition condition(&ready);
  while (!mutex_.AwaitWithTimeout(condition, kHealthInterval)) {
    RETURN_IF_ERROR(health());
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("no masks came within ", absl::FormatDuration(timeout_)));
    }
  }
  auto masks = masks_.extract(step_id);
  if (masks.empty()) return absl::CancelledError("the stream that brings the masks is lost");
  return std::move(masks.mapped());
}

bool SampleInputs::AwaitFor(uint64_t step_id, absl::Duration time) {
  absl::MutexLock lock(&mutex_);
  const auto ready = [this, step_id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closed_ || masks_.contains(step_id);
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&ready), time);
}

void SampleInputs::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

}  // namespace regatta
