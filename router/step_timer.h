// StepTimer: when a step counts as stuck. Predicts a step's time from similar steps; pure, the
// caller brings the time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace regatta {

// A step runs from its dispatch, or the result of the step before if that came later, until its
// result. It is overdue after max(floor, 5 x the moving average of steps with about as many
// tokens). A step that waited for masks starts anew when they are sent; how long the workers took
// is then not known, and counts as that between its two starts which is nearest the average.
class StepTimer {
 public:
  explicit StepTimer(int64_t floor_ns) : floor_ns_(floor_ns) {}

  void Dispatched(uint64_t step_id, uint32_t num_tokens, int64_t now_ns);
  // The masks that this step awaited were sent; a step that is not in flight is ignored.
  void MasksSent(uint64_t step_id, int64_t now_ns);
  // The oldest step in flight ended; how long it ran.
  int64_t Completed(int64_t now_ns);

  size_t in_flight() const { return steps_.size(); }
  // How long after its beginning the masks of the oldest step in flight were sent; 0: it awaits
  // none.
  int64_t mask_wait_ns() const {
    const int64_t sent_ns = steps_.front().masks_sent_ns;
    return sent_ns == 0 ? 0 : std::max<int64_t>(0, sent_ns - BeginNs());
  }
  // Of the oldest step in flight; some step must be in flight.
  uint64_t oldest_step() const { return steps_.front().id; }
  int64_t limit_ns() const;
  int64_t deadline_ns() const { return StartNs() + limit_ns(); }

 private:
  struct Step {
    uint64_t id;
    int bucket;  // bit width of the token count
    int64_t dispatched_ns;
    int64_t masks_sent_ns = 0;
  };
  int64_t StartNs() const { return std::max(BeginNs(), steps_.front().masks_sent_ns); }
  // The same as if it had not waited for masks.
  int64_t BeginNs() const { return std::max(steps_.front().dispatched_ns, last_result_ns_); }

  int64_t floor_ns_;
  int64_t last_result_ns_ = 0;
  std::deque<Step> steps_;
  std::array<double, 33> average_ns_ = {};  // by bucket; 0 = no such step yet
};

}  // namespace regatta
