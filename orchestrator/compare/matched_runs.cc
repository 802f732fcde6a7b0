// Sorting runs by load and repeat; see matched_runs.h.
#include "orchestrator/compare/matched_runs.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

using RunsByRepeat = std::map<uint32_t, const PointReport*>;

// Runs of one side at one load.
struct Side {
  RunsByRepeat sound;
  uint32_t failed = 0;
};

// A repeat's number, or the next free one where runs do not tell theirs.
uint32_t RepeatOf(const PointReport& run, const RunsByRepeat& runs) {
  const uint32_t repeat = run.regatta().repeat();
  if (repeat > 0 && runs.count(repeat) == 0) return repeat;
  return runs.empty() ? 1 : runs.rbegin()->first + 1;
}

std::map<LoadKey, Side> ByLoad(const SweepReport& sweep) {
  std::map<LoadKey, Side> loads;
  for (const PointReport& run : MeasuredRuns(sweep)) {
    Side& side = loads[LoadOf(run.regatta())];
    if (IsSound(run)) {
      side.sound.emplace(RepeatOf(run, side.sound), &run);
    } else {
      ++side.failed;
    }
  }
  return loads;
}

bool AreInterleaved(const RunsByRepeat& a, const RunsByRepeat& b) {
  const std::string& name = a.begin()->second->regatta().comparison();
  const auto of_it = [&](const auto& entry) {
    return entry.second->regatta().comparison() == name;
  };
  return !name.empty() && std::all_of(a.begin(), a.end(), of_it) &&
         std::all_of(b.begin(), b.end(), of_it);
}

// Drops those of `runs` whose repeat the other side does not have.
void KeepCommon(const std::set<uint32_t>& common, Side& side) {
  for (auto entry = side.sound.begin(); entry != side.sound.end();) {
    entry = common.count(entry->first) > 0 ? std::next(entry) : side.sound.erase(entry);
  }
}

void KeepPairs(Side& a, Side& b) {
  std::set<uint32_t> common;
  for (const auto& [repeat, run] : a.sound) {
    if (b.sound.count(repeat) > 0) common.insert(repeat);
  }
  KeepCommon(common, a);
  KeepCommon(common, b);
}

std::vector<std::vector<const PointReport*>> Entries(const RunsByRepeat& runs) {
  std::vector<std::vector<const PointReport*>> entries;
  for (const auto& [repeat, run] : runs) entries.push_back({run});
  return entries;
}

MatchedLoad Match(const LoadKey& load, Side a, Side b) {
  MatchedLoad matched;
  matched.load = LoadName(load);
  matched.paired = AreInterleaved(a.sound, b.sound);
  if (matched.paired) KeepPairs(a, b);
  matched.a = Entries(a.sound);
  matched.b = Entries(b.sound);
  matched.failed_runs_a = a.failed;
  matched.failed_runs_b = b.failed;
  return matched;
}

double GeometricMean(const std::vector<const PointReport*>& runs, const ComparedMetric& metric) {
  double sum = 0;
  for (const PointReport* run : runs) {
    const double value = metric.of(*run);
    if (value <= 0) return 0;
    sum += std::log(value);
  }
  return std::exp(sum / runs.size());
}

// The i-th entry has the i-th repeat of every load, as far as all of them have one.
std::vector<std::vector<const PointReport*>> Together(
    const std::vector<MatchedLoad>& loads,
    std::vector<std::vector<const PointReport*>> MatchedLoad::*side) {
  std::map<uint32_t, std::vector<const PointReport*>> by_repeat;
  for (const MatchedLoad& load : loads) {
    RunsByRepeat runs;
    for (const auto& entry : load.*side) runs.emplace(RepeatOf(*entry[0], runs), entry[0]);
    for (const auto& [repeat, run] : runs) by_repeat[repeat].push_back(run);
  }
  std::vector<std::vector<const PointReport*>> entries;
  for (auto& [repeat, runs] : by_repeat) {
    if (runs.size() == loads.size()) entries.push_back(std::move(runs));
  }
  return entries;
}

}  // namespace

MetricSamples MatchedLoad::SamplesOf(const ComparedMetric& metric) const {
  MetricSamples samples;
  for (const auto& runs : a) samples.a.push_back(GeometricMean(runs, metric));
  for (const auto& runs : b) samples.b.push_back(GeometricMean(runs, metric));
  return samples;
}

MatchedRuns MatchRuns(const SweepReport& a, const SweepReport& b) {
  MatchedRuns matched;
  const std::map<LoadKey, Side> loads_a = ByLoad(a), loads_b = ByLoad(b);
  for (const auto& [load, side] : loads_a) {
    const auto other = loads_b.find(load);
    if (other == loads_b.end()) {
      matched.only_a.push_back(LoadName(load));
      continue;
    }
    const bool sound = !side.sound.empty() && !other->second.sound.empty();
    MatchedLoad entry = sound ? Match(load, side, other->second) : MatchedLoad();
    if (entry.a.empty()) {
      matched.unsound.push_back(LoadName(load));
    } else {
      matched.loads.push_back(std::move(entry));
    }
  }
  for (const auto& [load, side] : loads_b) {
    if (loads_a.count(load) == 0) matched.only_b.push_back(LoadName(load));
  }
  return matched;
}

MatchedLoad AllLoads(const std::vector<MatchedLoad>& loads) {
  MatchedLoad all;
  all.load = "all loads";
  all.paired = std::all_of(loads.begin(), loads.end(), [](const auto& l) { return l.paired; });
  all.a = Together(loads, &MatchedLoad::a);
  all.b = Together(loads, &MatchedLoad::b);
  return all;
}

}  // namespace regatta
