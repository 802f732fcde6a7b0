// Sorting runs by arm, load and repeat; see matched_runs.h.
#include "orchestrator/compare/matched_runs.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/compare/compared_arms.h"
#include "orchestrator/statistics/headline_latency.h"
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

using Loads = std::map<LoadKey, Side>;

// A repeat's number, or the next free one where runs do not tell theirs.
uint32_t RepeatOf(const PointReport& run, const RunsByRepeat& runs) {
  const uint32_t repeat = run.regatta().repeat();
  if (repeat > 0 && runs.count(repeat) == 0) return repeat;
  return runs.empty() ? 1 : runs.rbegin()->first + 1;
}

Loads ByLoad(const std::vector<const PointReport*>& runs) {
  Loads loads;
  for (const PointReport* run : runs) {
    Side& side = loads[LoadOf(run->regatta())];
    if (IsSound(*run)) {
      side.sound.emplace(RepeatOf(*run, side.sound), run);
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

// "tp2 fp8, concurrency 8".
std::string NameIn(const std::string& arm, const std::string& load) {
  return absl::StrCat(arm, arm.empty() ? "" : ", ", load);
}

// Without runs where one side has no sound ones.
MatchedLoad Match(const std::string& arm, const LoadKey& load, Side a, Side b) {
  MatchedLoad matched;
  matched.arm = arm;
  matched.load = NameIn(arm, LoadName(load));
  matched.failed_runs_a = a.failed;
  matched.failed_runs_b = b.failed;
  if (a.sound.empty() || b.sound.empty()) return matched;
  matched.paired = AreInterleaved(a.sound, b.sound);
  if (matched.paired) KeepPairs(a, b);
  matched.a = Entries(a.sound);
  matched.b = Entries(b.sound);
  return matched;
}

void MatchLoads(const std::string& arm, const Loads& loads_a, const Loads& loads_b,
                MatchedRuns& matched) {
  for (const auto& [load, side] : loads_a) {
    const auto other = loads_b.find(load);
    if (other == loads_b.end()) {
      matched.only_a.push_back(NameIn(arm, LoadName(load)));
      continue;
    }
    MatchedLoad entry = Match(arm, load, side, other->second);
    (entry.a.empty() ? matched.unsound : matched.loads).push_back(std::move(entry));
  }
  for (const auto& [load, side] : loads_b) {
    if (loads_a.count(load) == 0) matched.only_b.push_back(NameIn(arm, LoadName(load)));
  }
}

// How many runs of that side its arms left out, and why.
void NoteLeftOut(const char* side, const std::map<std::string, uint32_t>& left_out,
                 MatchedRuns& matched) {
  for (const auto& [why, runs] : left_out) {
    matched.left_out.push_back(
        absl::StrCat(runs, runs == 1 ? " run of " : " runs of ", side, " ", why));
  }
}

bool AllFromDue(const MatchedLoad::Repeats& entries) {
  return std::all_of(entries.begin(), entries.end(), [](const auto& runs) {
    return std::all_of(runs.begin(), runs.end(), [](const auto* run) { return IsFromDue(*run); });
  });
}

double GeometricMean(const std::vector<const PointReport*>& runs,
                     double (*figure)(const PointReport& point)) {
  double sum = 0;
  for (const PointReport* run : runs) {
    const double value = figure(*run);
    if (value <= 0) return 0;
    sum += std::log(value);
  }
  return std::exp(sum / runs.size());
}

// The i-th entry has the i-th repeat of every load, as far as all of them have one.
MatchedLoad::Repeats Together(const std::vector<MatchedLoad>& loads,
                              MatchedLoad::Repeats MatchedLoad::*side) {
  std::map<uint32_t, std::vector<const PointReport*>> by_repeat;
  for (const MatchedLoad& load : loads) {
    RunsByRepeat runs;
    for (const auto& entry : load.*side) runs.emplace(RepeatOf(*entry[0], runs), entry[0]);
    for (const auto& [repeat, run] : runs) by_repeat[repeat].push_back(run);
  }
  MatchedLoad::Repeats entries;
  for (auto& [repeat, runs] : by_repeat) {
    if (runs.size() == loads.size()) entries.push_back(std::move(runs));
  }
  return entries;
}

MatchedLoad TakenTogether(const std::vector<MatchedLoad>& loads) {
  MatchedLoad all;
  all.arm = loads[0].arm;
  all.load = NameIn(all.arm, "all loads");
  all.paired = std::all_of(loads.begin(), loads.end(), [](const auto& l) { return l.paired; });
  all.a = Together(loads, &MatchedLoad::a);
  all.b = Together(loads, &MatchedLoad::b);
  return all;
}

}  // namespace

MetricSamples MatchedLoad::SamplesOf(const ComparedMetric& metric) const {
  const bool sent = metric.of_sent != nullptr && !(AllFromDue(a) && AllFromDue(b));
  const auto figure = sent ? metric.of_sent : metric.of;
  MetricSamples samples;
  for (const auto& runs : a) samples.a.push_back(GeometricMean(runs, figure));
  for (const auto& runs : b) samples.b.push_back(GeometricMean(runs, figure));
  return samples;
}

MatchedRuns MatchRuns(const SweepReport& a, const SweepReport& b) {
  MatchedRuns matched;
  SideArms arms_a = ArmsOf(a), arms_b = ArmsOf(b);
  const bool several = arms_a.arms.size() > 1 || arms_b.arms.size() > 1;
  if (!several) {
    MergeArms(arms_a);
    MergeArms(arms_b);
  }
  for (auto& [key, arm] : arms_a.arms) {
    const auto other = arms_b.arms.find(key);
    if (other == arms_b.arms.end()) {
      matched.only_a.push_back(arm.name);
      continue;
    }
    const std::optional<uint32_t> stage = LatestCommonStage(arm, other->second);
    if (!stage.has_value()) {
      matched.unmet.push_back(arm.name);
      matched.left_out.push_back(absl::StrCat(arm.name, ": A has it ", StagesText(arm), ", B ",
                                              StagesText(other->second)));
      continue;
    }
    MatchLoads(several ? NameAt(arm, *stage) : "", ByLoad(TakeStage(*stage, arm, arms_a)),
               ByLoad(TakeStage(*stage, other->second, arms_b)), matched);
  }
  for (const auto& [key, arm] : arms_b.arms) {
    if (arms_a.arms.count(key) == 0) matched.only_b.push_back(arm.name);
  }
  matched.unmet.insert(matched.unmet.end(), matched.only_a.begin(), matched.only_a.end());
  NoteLeftOut("A", arms_a.left_out, matched);
  NoteLeftOut("B", arms_b.left_out, matched);
  return matched;
}

std::vector<MatchedLoad> AllLoads(const std::vector<MatchedLoad>& loads) {
  std::vector<MatchedLoad> all;
  for (auto begin = loads.begin(); begin != loads.end();) {
    const auto end = std::find_if(begin, loads.end(),
                                  [&](const MatchedLoad& load) { return load.arm != begin->arm; });
    if (end - begin > 1) all.push_back(TakenTogether({begin, end}));
    begin = end;
  }
  return all;
}

}  // namespace regatta
