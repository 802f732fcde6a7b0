// Folding of groups that come and go; see router_metrics.h.
#include "router/metrics/router_metrics.h"

#include <algorithm>

#include "common/check.h"
#include "router/metrics/buckets.h"

namespace regatta {

void GroupTotals::Add(const GroupMetrics& group) {
  for (size_t i = 0; i < kNumGroupCounters; ++i) {
    counters[i] += group.Get(static_cast<GroupCounter>(i));
  }
  for (size_t i = 0; i < kNumGroupHistograms; ++i) {
    group.Get(static_cast<GroupHistogram>(i)).AddTo(histograms[i]);
  }
}

RouterMetrics::RouterMetrics(uint32_t max_tokens)
    : bounds_(max_tokens), grammar_compile_(StepTimeBounds()) {
  absl::MutexLock lock(&mutex_);
  // Before there is a group all series are there, and zero.
  for (size_t i = 0; i < kNumGroupHistograms; ++i) {
    const size_t bounds = bounds_.Of(static_cast<GroupHistogram>(i)).size();
    retired_.histograms[i].counts.resize(bounds + 1);
  }
}

std::shared_ptr<GroupMetrics> RouterMetrics::AddGroup(uint64_t epoch, GroupFacts facts) {
  auto group = std::make_shared<GroupMetrics>(bounds_, std::move(facts));
  absl::MutexLock lock(&mutex_);
  CHECK(groups_.emplace(epoch, group).second) << "epoch " << epoch << " is there already";
  return group;
}

void RouterMetrics::RemoveGroup(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  const auto it = groups_.find(epoch);
  CHECK(it != groups_.end()) << "no group of epoch " << epoch;
  retired_.Add(*it->second);
  AddRanks(*it->second, retired_ranks_);
  groups_.erase(it);
}

RouterMetrics::Snapshot RouterMetrics::Take() const {
  Snapshot snapshot;
  {
    absl::MutexLock lock(&mutex_);
    snapshot.totals = retired_;
    snapshot.ranks = retired_ranks_;
    for (const auto& [epoch, group] : groups_) {
      snapshot.totals.Add(*group);
      AddRanks(*group, snapshot.ranks);
      snapshot.groups.push_back(group);
    }
  }
  std::sort(snapshot.groups.begin(), snapshot.groups.end(),
            [](const auto& a, const auto& b) { return a->facts().index < b->facts().index; });
  return snapshot;
}

HistogramTotals RouterMetrics::grammar_compile() const {
  HistogramTotals totals;
  totals.counts.resize(StepTimeBounds().size() + 1);
  grammar_compile_.AddTo(totals);
  return totals;
}

void RouterMetrics::AddRanks(const GroupMetrics& group, RankTotalsMap& ranks) {
  for (uint32_t rank = 0; rank < group.facts().num_ranks; ++rank) {
    RankTotals& totals = ranks[{group.facts().index, rank}];
    totals.compute_ns += group.rank(rank).compute_ns.Get();
    totals.timed_steps += group.rank(rank).timed_steps.Get();
  }
}

}  // namespace regatta
