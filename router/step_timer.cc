// Moving averages of step times; see step_timer.h.
#include "router/step_timer.h"

#include <algorithm>
#include <bit>

#include "common/check.h"

namespace regatta {
namespace {

constexpr double kWeight = 0.1;  // of the newest step in the moving average
constexpr double kTolerance = 5;

}  // namespace

void StepTimer::Dispatched(uint64_t step_id, uint32_t num_tokens, int64_t now_ns) {
  steps_.push_back({step_id, static_cast<int>(std::bit_width(num_tokens)), now_ns});
}

void StepTimer::MasksSent(uint64_t step_id, int64_t now_ns) {
  for (Step& step : steps_) {
    if (step.id == step_id) step.masks_sent_ns = now_ns;
  }
}

int64_t StepTimer::Completed(int64_t now_ns) {
  CHECK(!steps_.empty());
  const int64_t took_ns = now_ns - BeginNs();
  double& average = average_ns_[steps_.front().bucket];
  const double took =
      std::clamp(average, static_cast<double>(now_ns - StartNs()), static_cast<double>(took_ns));
  average = average == 0 ? took : average + kWeight * (took - average);
  last_result_ns_ = now_ns;
  steps_.pop_front();
  return took_ns;
}

int64_t StepTimer::limit_ns() const {
  const double predicted = average_ns_[steps_.front().bucket];
  return std::max(floor_ns_, static_cast<int64_t>(kTolerance * predicted));
}

}  // namespace regatta
