// Grouping of points; see point_series.h.
#include "orchestrator/report/point_series.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

std::string SeriesName(const PointReport& point, const std::string& letter) {
  const std::string arm = ArmName(point);
  const std::string name = absl::StrCat(letter, letter.empty() || arm.empty() ? "" : " ", arm);
  return name.empty() ? "measured" : name;
}

}  // namespace

std::string ArmName(const PointReport& point) {
  std::vector<std::string> parts = {point.regatta().layout(), PrecisionOf(point)};
  const uint32_t round = point.regatta().halving_round();
  if (round > 0) parts.push_back(absl::StrCat("(round ", round, ")"));
  parts.erase(std::remove(parts.begin(), parts.end(), ""), parts.end());
  return absl::StrJoin(parts, " ");
}

std::string RunLetter(size_t run) {
  return run < 26 ? std::string(1, static_cast<char>('A' + run)) : absl::StrCat(run + 1);
}

std::vector<PointSeries> SeriesOf(absl::Span<const ReportedRun> runs) {
  std::vector<PointSeries> all;
  for (size_t r = 0; r < runs.size(); ++r) {
    const size_t first = all.size();  // of this run
    const std::string letter = runs.size() > 1 ? RunLetter(r) : "";
    for (int i = 0; i < runs[r].sweep.points_size(); ++i) {
      const PointReport& point = runs[r].sweep.points(i);
      const std::string name = SeriesName(point, letter);
      auto found = std::find_if(all.begin() + first, all.end(),
                                [&](const PointSeries& series) { return series.name == name; });
      if (found == all.end()) found = all.insert(all.end(), PointSeries{name, {}, {}, {}});
      found->points.push_back(&point);
      const std::vector<PointDetails>& details = runs[r].details.points;
      found->details.push_back(details.empty() ? nullptr : &details[i]);
      found->failed.push_back(FailedRequestsAt(runs[r].sweep, point));
    }
  }
  return all;
}

std::vector<PointSeries> SeriesInFull(absl::Span<const ReportedRun> runs) {
  const std::vector<PointSeries> all = SeriesOf(runs);
  std::vector<PointSeries> in_full;
  for (const PointSeries& series : all) {
    PointSeries kept = {series.name, {}, {}, {}};
    for (size_t i = 0; i < series.points.size(); ++i) {
      if (series.points[i]->regatta().halving_round() > 0) continue;
      kept.points.push_back(series.points[i]);
      kept.details.push_back(series.details[i]);
      kept.failed.push_back(series.failed[i]);
    }
    if (!kept.points.empty()) in_full.push_back(std::move(kept));
  }
  return in_full.empty() ? all : in_full;
}

std::vector<const PointReport*> AllPoints(const std::vector<PointSeries>& series) {
  std::vector<const PointReport*> points;
  for (const PointSeries& one : series) {
    points.insert(points.end(), one.points.begin(), one.points.end());
  }
  return points;
}

std::vector<std::string> PointNames(const std::vector<PointSeries>& series) {
  std::vector<std::string> names;
  for (const PointSeries& one : series) {
    const std::string of = series.size() > 1 ? one.name + ", " : "";
    for (const PointReport* point : one.points) {
      names.push_back(of + LoadLabel(LoadOf(point->regatta())));
    }
  }
  return names;
}

const std::string& PrecisionOf(const PointReport& point) {
  if (!point.regatta().precision().empty()) return point.regatta().precision();
  const EngineInfo& engine = point.engine();
  return engine.quantization().empty() ? engine.dtype() : engine.quantization();
}

}  // namespace regatta
