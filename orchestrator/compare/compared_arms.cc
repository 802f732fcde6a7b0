// Sorting by what ran; see compared_arms.h.
#include "orchestrator/compare/compared_arms.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/point_series.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/search_role.h"

namespace regatta {
namespace {

ArmKey KeyOf(const PointReport& run) {
  const EngineInfo& engine = run.engine();
  const bool told = !engine.dtype().empty() || !engine.quantization().empty();
  return {run.regatta().layout(), engine.dtype(), engine.quantization(), engine.kv_cache_dtype(),
          told ? "" : run.regatta().precision()};
}

std::string NameOf(const PointReport& run) {
  const std::string& layout = run.regatta().layout();
  const std::string& precision = PrecisionOf(run);
  return absl::StrCat(layout, layout.empty() || precision.empty() ? "" : " ", precision);
}

// Empty where it may be compared.
std::string WhyNot(const PointReport& run) {
  const std::string& role = run.regatta().search_role();
  if (role == kTunedRole) return "under tuned limits";
  if (role == kTooShortRole) return "too short to tell how many users ran, measured again";
  return "";
}

}  // namespace

SideArms ArmsOf(const SweepReport& sweep) {
  SideArms side;
  const auto& runs = MeasuredRuns(sweep);
  // An imported sweep has no journal, and nothing that was cut off.
  const int whole = sweep.has_journal()
                        ? std::min(static_cast<int>(sweep.journal().whole_points()), runs.size())
                        : runs.size();
  for (int i = 0; i < whole; ++i) {
    const std::string why = WhyNot(runs[i]);
    if (!why.empty()) {
      ++side.left_out[why];
      continue;
    }
    ComparedArm& arm = side.arms[KeyOf(runs[i])];
    arm.name = NameOf(runs[i]);
    arm.stages[runs[i].regatta().halving_round()].push_back(&runs[i]);
  }
  if (whole < runs.size()) side.left_out["cut off while it was measured"] = runs.size() - whole;
  return side;
}

void MergeArms(SideArms& side) {
  ComparedArm merged;
  for (auto& [key, arm] : side.arms) {
    for (auto& [stage, runs] : arm.stages) {
      auto& all = merged.stages[stage];
      all.insert(all.end(), runs.begin(), runs.end());
    }
  }
  side.arms.clear();
  if (!merged.stages.empty()) side.arms[ArmKey()] = std::move(merged);
}

std::optional<uint32_t> LatestCommonStage(const ComparedArm& a, const ComparedArm& b) {
  std::optional<uint32_t> latest;
  for (const auto& [stage, runs] : a.stages) {
    if (b.stages.count(stage) == 0) continue;
    if (stage == 0) return 0;
    latest = stage;  // ascending
  }
  return latest;
}

std::vector<const PointReport*> TakeStage(uint32_t stage, const ComparedArm& arm, SideArms& side) {
  for (const auto& [other, runs] : arm.stages) {
    if (other == stage) continue;
    side.left_out[other == 0 ? "in full, of layouts that the other dropped early"
                             : "in other rounds of halving"] += runs.size();
  }
  return arm.stages.at(stage);
}

std::string NameAt(const ComparedArm& arm, uint32_t stage) {
  if (stage == 0) return arm.name;
  return absl::StrCat(arm.name, " in round ", stage, " of halving");
}

std::string StagesText(const ComparedArm& arm) {
  if (arm.stages.count(0) > 0) return "in full";
  const std::string rounds =
      absl::StrJoin(arm.stages, " and ",
                    [](std::string* out, const auto& stage) { absl::StrAppend(out, stage.first); });
  return absl::StrCat("in round", arm.stages.size() == 1 ? " " : "s ", rounds, " of halving alone");
}

}  // namespace regatta
