// KernelTrace: when the GPU worked and when it idled, from the times of every kernel, copy and fill
// (CUPTI's activity records). Tracing costs each of them some time of its own, so idle shares are
// upper bounds.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace regatta {

// All launches of one kernel, or all copies or fills.
struct KernelShare {
  std::string name;
  int count = 0;
  double busy_s = 0;  // what they add to the busy time: of two at once, the second's end alone
  double idle_s = 0;  // nothing ran, right before they began
};

struct KernelTimes {
  double busy_s = 0;  // some kernel, copy or fill ran
  double span_s = 0;  // from the first one's start to the last one's end
  int records = 0;
  std::vector<KernelShare> shares;  // longest first

  double idle_share() const { return span_s == 0 ? 0 : 1 - busy_s / span_s; }
};

class KernelTrace {
 public:
  // Begins. One at a time. Nothing is traced without CUDA or without libcupti.
  KernelTrace();
  ~KernelTrace();
  KernelTrace(const KernelTrace&) = delete;
  KernelTrace& operator=(const KernelTrace&) = delete;

  // Forgets what ran so far.
  void Restart();
  // Ends; the device must have done all that was given to it. Nothing when nothing was traced.
  std::optional<KernelTimes> Stop();
};

}  // namespace regatta
