// GroupMetrics: what one group of workers has done. Recorded by the group's engine loop, a few
// stores a step and a token; read at any time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/gpu/newest_reading.h"
#include "proto/inference.pb.h"
#include "router/metrics/histogram.h"
#include "router/scheduler/scheduler.h"

namespace regatta {

// Counters, since the group was formed.
enum class GroupCounter {
  kPromptTokens,      // of prompts whose first token has come, cached ones included
  kGenerationTokens,  // sent to clients
  kComputedTokens,    // of prompts, recomputed ones included
  kQueriedTokens,     // that the prefix cache was asked for
  kCachedTokens,      // of these, found
  kPreemptions,
  kSteps,
  kCount,
};

enum class GroupHistogram {
  kFirstToken,
  kInterToken,
  kTimePerOutputToken,
  kEndToEnd,
  kQueue,
  kInference,
  kPrefill,
  kDecode,
  kPromptTokens,
  kGenerationTokens,
  kStepTokens,
  kStepSequences,
  kStep,
  kStepSchedule,  // parts of a step
  kStepCompute,
  kStepCommit,
  kStepPublish,
  kStepMasks,
  kMaskCompute,
  kCount,
};

inline constexpr size_t kNumGroupCounters = static_cast<size_t>(GroupCounter::kCount);
inline constexpr size_t kNumGroupHistograms = static_cast<size_t>(GroupHistogram::kCount);

// The bounds of all histograms.
class GroupBounds {
 public:
  // `max_tokens`: the longest that a sequence may be.
  explicit GroupBounds(uint32_t max_tokens);
  const std::vector<double>& Of(GroupHistogram histogram) const;

 private:
  const std::vector<double> sizes_;
};

// Of one rank. Written by what hears the rank, under its lock.
struct RankMetrics {
  Tally<uint64_t> compute_ns;  // of steps that the rank has told the time of
  Tally<uint64_t> timed_steps;
  Tally<uint64_t> completed;  // newest step that it has ended
  NewestReading gpu;
};

struct GroupFacts {
  uint32_t index = 0;  // for people
  uint32_t num_ranks = 1;
  uint32_t kv_blocks = 0;
  uint32_t block_size = 0;
  std::string kv_cache_dtype;
};

class GroupMetrics {
 public:
  GroupMetrics(const GroupBounds& bounds, GroupFacts facts);

  // A plan of `sequences` and `tokens` in all left, `schedule_ns` after it was begun.
  void StepPlanned(uint32_t sequences, uint32_t tokens, int64_t schedule_ns);
  // A step's result has come, `took_ns` after the step began, and was applied in `commit_ns`. The
  // rank that samples computed for `compute_ns`; 0 = it did not tell.
  void StepCommitted(int64_t took_ns, uint64_t compute_ns, int64_t commit_ns);
  // What was committed has been sent to clients.
  void Published(int64_t publish_ns) { ObserveNs(GroupHistogram::kStepPublish, publish_ns); }
  // A step began `wait_ns` before the masks that it awaits were sent; computing them took
  // `compute_ns` of the threads that did.
  void WaitedForMasks(int64_t wait_ns) { ObserveNs(GroupHistogram::kStepMasks, wait_ns); }
  void ComputedMasks(int64_t compute_ns) { ObserveNs(GroupHistogram::kMaskCompute, compute_ns); }
  // A request's first `tokens` are about to be sent.
  void FirstTokens(uint32_t tokens, uint32_t prompt_tokens, int64_t since_arrival_ns) {
    of(GroupCounter::kPromptTokens).Add(prompt_tokens);
    of(GroupCounter::kGenerationTokens).Add(tokens);
    ObserveNs(GroupHistogram::kFirstToken, since_arrival_ns);
  }
  // `tokens` are about to be sent, `gap_ns` after those before them.
  void LaterTokens(uint32_t tokens, int64_t gap_ns) {
    of(GroupCounter::kGenerationTokens).Add(tokens);
    of(GroupHistogram::kInterToken).Observe(1e-9 * gap_ns / tokens, tokens);
  }
  // A request ended by itself (stop or length), at `now_ns`.
  void Finished(const EngineTimes& times, const Usage& usage, int64_t now_ns);
  void SetState(const SchedulerState& state);

  const GroupFacts& facts() const { return facts_; }
  uint64_t Get(GroupCounter counter) const { return counters_[static_cast<size_t>(counter)].Get(); }
  const Histogram& Get(GroupHistogram histogram) const {
    return *histograms_[static_cast<size_t>(histogram)];
  }
  uint32_t running() const { return running_.Get(); }
  uint32_t waiting() const { return waiting_.Get(); }
  uint32_t used_blocks() const { return used_blocks_.Get(); }
  uint32_t cached_blocks() const { return cached_blocks_.Get(); }
  RankMetrics& rank(size_t rank) { return ranks_[rank]; }
  const RankMetrics& rank(size_t rank) const { return ranks_[rank]; }

 private:
  Tally<uint64_t>& of(GroupCounter counter) { return counters_[static_cast<size_t>(counter)]; }
  Histogram& of(GroupHistogram histogram) { return *histograms_[static_cast<size_t>(histogram)]; }
  void ObserveNs(GroupHistogram histogram, int64_t ns) { of(histogram).Observe(1e-9 * ns); }

  const GroupFacts facts_;
  std::array<Tally<uint64_t>, kNumGroupCounters> counters_;
  std::array<std::unique_ptr<Histogram>, kNumGroupHistograms> histograms_;
  Tally<uint32_t> running_, waiting_, used_blocks_, cached_blocks_;
  const std::unique_ptr<RankMetrics[]> ranks_;
};

}  // namespace regatta
