// RouterMetrics: what the router has done since it started, whichever groups did it. Groups come
// and go; what they counted stays.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "router/metrics/group_metrics.h"
#include "router/metrics/histogram.h"
#include "router/metrics/request_ends.h"

namespace regatta {

// Counters and histograms of several groups together.
struct GroupTotals {
  std::array<uint64_t, kNumGroupCounters> counters = {};
  std::array<HistogramTotals, kNumGroupHistograms> histograms;

  void Add(const GroupMetrics& group);
  uint64_t Get(GroupCounter counter) const { return counters[static_cast<size_t>(counter)]; }
  const HistogramTotals& Get(GroupHistogram histogram) const {
    return histograms[static_cast<size_t>(histogram)];
  }
};

struct RankTotals {
  uint64_t compute_ns = 0;
  uint64_t timed_steps = 0;
};
// By the group's index and the rank in it.
using RankTotalsMap = std::map<std::pair<uint32_t, uint32_t>, RankTotals>;

// All thread-safe.
class RouterMetrics {
 public:
  struct Snapshot {
    GroupTotals totals;  // of all groups that there ever were
    RankTotalsMap ranks;
    std::vector<std::shared_ptr<const GroupMetrics>> groups;  // that serve now, by index
  };
  static constexpr size_t kNumCodes = 17;  // of absl::StatusCode

  // `max_tokens`: the longest that a sequence may be; bounds histograms of sizes.
  explicit RouterMetrics(uint32_t max_tokens);

  const GroupBounds& bounds() const { return bounds_; }

  // What the group `epoch` records itself with.
  std::shared_ptr<GroupMetrics> AddGroup(uint64_t epoch, GroupFacts facts)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The group has stopped and records no more.
  void RemoveGroup(uint64_t epoch) ABSL_LOCKS_EXCLUDED(mutex_);

  RequestEnds& ends() { return ends_; }
  const RequestEnds& ends() const { return ends_; }

  // A request was refused before it was queued.
  void Refused(absl::StatusCode code) {
    refused_[static_cast<size_t>(code)].fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t refused(absl::StatusCode code) const {
    return refused_[static_cast<size_t>(code)].load(std::memory_order_relaxed);
  }

  // A constrained request waited so long for its grammar, of the coordinator's thread.
  void GrammarCompiled(int64_t took_ns) { grammar_compile_.Observe(1e-9 * took_ns); }
  HistogramTotals grammar_compile() const;

  // Requests that wait for a group, beside those that wait within one.
  void SetUnplaced(uint32_t requests) { unplaced_.Set(requests); }
  uint32_t unplaced() const { return unplaced_.Get(); }

  Snapshot Take() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static void AddRanks(const GroupMetrics& group, RankTotalsMap& ranks);

  const GroupBounds bounds_;
  RequestEnds ends_;
  std::array<std::atomic<uint64_t>, kNumCodes> refused_ = {};
  Tally<uint32_t> unplaced_;
  Histogram grammar_compile_;

  mutable absl::Mutex mutex_;
  std::map<uint64_t, std::shared_ptr<GroupMetrics>> groups_ ABSL_GUARDED_BY(mutex_);  // by epoch
  GroupTotals retired_ ABSL_GUARDED_BY(mutex_);  // of groups that are gone
  RankTotalsMap retired_ranks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace regatta
