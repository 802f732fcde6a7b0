// See run_figures.h.
#include "orchestrator/service/run_figures.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_split.h"
#include "orchestrator/benchmark/journal.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

// Runs that were measured to their end; one that was cut short may follow them.
int WholeRuns(const SweepReport& sweep) {
  return std::min(static_cast<int>(sweep.journal().whole_points()), MeasuredRuns(sweep).size());
}

// Likewise of points. Those of repeated runs are made of whole ones alone.
int WholePoints(const SweepReport& sweep) {
  return sweep.runs_size() > 0 ? sweep.points_size() : WholeRuns(sweep);
}

// What differs between the identities besides the load that was asked for.
std::vector<std::string> Differences(const SweepReport& first, const SweepReport& second) {
  RunIdentity a = first.journal().identity(), b = second.journal().identity();
  for (RunIdentity* identity : {&a, &b}) {
    identity->clear_flags();
    identity->clear_planned();
  }
  google::protobuf::util::MessageDifferencer differencer;
  std::string text;
  differencer.ReportDifferencesToString(&text);
  if (differencer.Compare(a, b)) return {};
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

}  // namespace

void Summarise(const SweepReport& sweep, RunSummary& run) {
  const int whole = WholeRuns(sweep);
  run.set_points_planned(sweep.journal().identity().planned_size());
  run.set_points_done(whole);
  uint32_t completed = 0, failed = 0;
  double output = 0, user = 0;
  for (int i = 0; i < MeasuredRuns(sweep).size(); ++i) {
    const PointReport& point = MeasuredRuns(sweep)[i];
    completed += point.request_info().num_requests();
    failed += point.regatta().failed_requests();
    if (i >= whole) continue;
    output = std::max(output, point.performance().system_output_throughput_tok_s());
    user = std::max(user, UserSpeed(point));
  }
  run.set_completed_requests(completed);
  run.set_failed_requests(failed);
  run.set_best_output_tok_s(output);
  run.set_best_user_tok_s(user);
}

RunComparison ComparePoints(const SweepReport& first, const SweepReport& second) {
  using Key = std::pair<LoadKey, int>;  // and which of its points
  std::map<Key, std::pair<const PointReport*, const PointReport*>> pairs;
  std::map<LoadKey, int> seen_first, seen_second;
  for (int i = 0; i < WholePoints(first); ++i) {
    const LoadKey load = LoadOf(first.points(i).regatta());
    pairs[{load, seen_first[load]++}].first = &first.points(i);
  }
  for (int i = 0; i < WholePoints(second); ++i) {
    const LoadKey load = LoadOf(second.points(i).regatta());
    pairs[{load, seen_second[load]++}].second = &second.points(i);
  }
  RunComparison comparison;
  for (const auto& [key, points] : pairs) {
    ComparedPoint& compared = *comparison.add_points();
    compared.set_request_rate(key.first.first);
    compared.set_concurrency(key.first.second);
    if (points.first != nullptr) *compared.mutable_first() = *points.first;
    if (points.second != nullptr) *compared.mutable_second() = *points.second;
  }
  for (const std::string& line : Differences(first, second)) comparison.add_differences(line);
  return comparison;
}

}  // namespace regatta
