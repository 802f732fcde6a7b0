// Search, confirm, overload, tune, apply; see recommend.h. Each step takes the runs that it needs
// from the results and measures those that are missing, so that a run that was killed goes on.
#include "orchestrator/search/recommend.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/search/apply_limits.h"
#include "orchestrator/search/load_figures.h"
#include "orchestrator/search/load_search.h"
#include "orchestrator/search/tuned_limits.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

constexpr char kConfirmRole[] = "confirm";
constexpr char kOverloadRole[] = "overload";
// Loads that are tried before the search counts as refuted.
constexpr int kMostConfirmations = 3;

class Recommender {
 public:
  Recommender(const RecommendPlan& plan, BenchmarkSession& session, const std::atomic<bool>& stop)
      : plan_(plan), session_(session), stop_(stop) {}

  absl::Status Run();

 private:
  absl::Status Confirm();
  absl::Status Overload();
  absl::Status Tune();
  const PointReport* BestLoad() const;
  std::string WhyNoLoad() const;
  std::string WhatLimits(uint32_t concurrency) const;
  Recommendation& answer() { return *session_.mutable_sweep().mutable_recommendation(); }
  const Recommendation& answer() const { return session_.sweep().recommendation(); }

  const RecommendPlan& plan_;
  BenchmarkSession& session_;
  const std::atomic<bool>& stop_;
};

absl::Status Recommender::Run() {
  answer().Clear();
  answer().set_goal(GoalName(plan_.goal));
  answer().set_question(DescribeGoal(plan_.goal));
  answer().set_min_user_speed_tok_s(plan_.goal.min_user_speed);
  answer().set_max_ttft_ms(plan_.goal.max_ttft_ms);
  RETURN_IF_ERROR(SearchLoads({{plan_.goal}, plan_.limits}, session_, stop_));
  RETURN_IF_ERROR(Confirm());
  if (answer().concurrency() == 0) return absl::OkStatus();
  RETURN_IF_ERROR(Overload());
  RETURN_IF_ERROR(Tune());
  if (!plan_.apply) return absl::OkStatus();
  return ApplyLimits(plan_.goal, RunsOf(session_.sweep(), kConfirmRole, answer().concurrency()),
                     session_, stop_);
}

// The best load of the search among those that fresh prompts have not refuted.
const PointReport* Recommender::BestLoad() const {
  std::vector<const PointReport*> loads = RunsOf(session_.sweep(), kSearchRole);
  const auto refuted = [this](const PointReport* load) {
    const auto& all = answer().refuted();
    return std::any_of(all.begin(), all.end(), [load](const LoadFigures& figures) {
      return figures.concurrency() == load->regatta().concurrency();
    });
  };
  loads.erase(std::remove_if(loads.begin(), loads.end(), refuted), loads.end());
  return BestPoint(plan_.goal, loads);
}

std::string Recommender::WhyNoLoad() const {
  if (answer().refuted_size() > 0) return "fresh prompts confirmed no load that the search found";
  const std::vector<const PointReport*> loads = RunsOf(session_.sweep(), kSearchRole);
  CHECK(!loads.empty());  // The search begins with one user.
  return absl::StrCat("c=", loads[0]->regatta().concurrency(), ": ",
                      MissedBy(plan_.goal, *loads[0]));
}

// What the next larger load of the search misses; empty where there is none or it misses nothing.
std::string Recommender::WhatLimits(uint32_t concurrency) const {
  const PointReport* next = nullptr;
  for (const PointReport* load : RunsOf(session_.sweep(), kSearchRole)) {
    const uint32_t users = load->regatta().concurrency();
    if (users <= concurrency) continue;
    if (next == nullptr || users < next->regatta().concurrency()) next = load;
  }
  if (next == nullptr) return "";
  const std::string missed = MissedBy(plan_.goal, *next);
  return missed.empty() ? "" : absl::StrCat("c=", next->regatta().concurrency(), ": ", missed);
}

absl::Status Recommender::Confirm() {
  for (const PointReport* best = BestLoad();
       best != nullptr && answer().refuted_size() < kMostConfirmations; best = BestLoad()) {
    const uint32_t users = best->regatta().concurrency();
    std::cerr << "Confirming " << users << " users with fresh prompts\n";
    const uint32_t repeats = session_.options().repeats;
    for (uint32_t run = RunsOf(session_.sweep(), kConfirmRole, users).size(); run < repeats;
         ++run) {
      RETURN_IF_ERROR(MeasureOnce(users, run + 1, kConfirmRole, session_, stop_));
    }
    const LoadFigures confirmed =
        FiguresOf(plan_.goal, RunsOf(session_.sweep(), kConfirmRole, users));
    if (!confirmed.missed().empty()) {
      *answer().add_refuted() = confirmed;
      continue;
    }
    answer().set_concurrency(users);
    answer().set_limited_by(WhatLimits(users));
    *answer().mutable_predicted() = FiguresOf(plan_.goal, {best});
    *answer().mutable_confirmed() = confirmed;
    return absl::OkStatus();
  }
  answer().set_limited_by(WhyNoLoad());
  return absl::OkStatus();
}

absl::Status Recommender::Overload() {
  for (const uint32_t users : OverloadsOf(answer().concurrency())) {
    if (RunsOf(session_.sweep(), kOverloadRole, users).empty()) {
      RETURN_IF_ERROR(MeasureOnce(users, 1, kOverloadRole, session_, stop_));
    }
    *answer().add_overload() =
        FiguresOf(plan_.goal, RunsOf(session_.sweep(), kOverloadRole, users));
  }
  return absl::OkStatus();
}

absl::Status Recommender::Tune() {
  const ClusterDescription& cluster = session_.serving().description;
  const std::vector<const PointReport*> runs =
      RunsOf(session_.sweep(), kSearchRole, answer().concurrency());
  *answer().mutable_measured_limits() = LimitsOf(cluster);
  *answer().mutable_tuned_limits() = TuneLimits(*runs[0], cluster);
  return WriteTextFile(session_.directory().path() + "/tuned.yaml",
                       TunedYaml(session_.sweep(), cluster));
}

}  // namespace

int RunRecommendation(const BenchmarkOptions& options, const RecommendPlan& plan,
                      RunRecord record) {
  CHECK(options.repeats >= 2);
  const std::atomic<bool>& stop = InterruptFlag();
  const auto session = BenchmarkSession::Open(options, std::move(record), stop);
  if (!session.ok()) return ExitCodeOf(session.status());
  absl::Status status = Recommender(plan, **session, stop).Run();
  const absl::Status finished = (*session)->Finish(status.ok(), /*show_overview=*/true);
  if (status.ok()) status = finished;
  if (!status.ok()) return ExitCodeOf(status);
  return (*session)->failed_requests() > 0 ? kExitRequestsFailed : kExitOk;
}

}  // namespace regatta
