// Sentences of points; see point_notes.h.
#include "orchestrator/report/point_notes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

constexpr char kNotKnown[] = "since it is not known when they were due";

// Those of requests that came by a rate or a trace, while nobody tells when they were due; a series
// of nothing else by its name alone.
std::vector<std::string> WithoutSchedule(const std::vector<PointSeries>& series,
                                         bool (*shown)(const PointReport& point)) {
  const std::vector<std::string> names = PointNames(series);
  std::vector<std::string> unknown;
  auto name = names.begin();
  for (const PointSeries& of : series) {
    const size_t before = unknown.size();
    for (const PointReport* point : of.points) {
      const bool open = HasSchedule(LoadOf(point->regatta()));
      if (shown(*point) && open && !IsFromDue(*point)) unknown.push_back(*name);
      ++name;
    }
    const bool all = unknown.size() == before + of.points.size();
    if (!all || of.points.size() < 2 || of.name.empty()) continue;
    unknown.resize(before);
    unknown.push_back(of.name);
  }
  return unknown;
}

}  // namespace

std::vector<std::string> NotesOf(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  std::vector<std::string> notes(info.warnings().begin(), info.warnings().end());
  const std::string& too_short = info.offered().too_short();
  if (!too_short.empty()) {
    notes.push_back(absl::StrCat("too short to tell how many ran: ", too_short));
  }
  return notes;
}

std::vector<PointNote> NotesOf(const std::vector<PointSeries>& series) {
  const std::vector<const PointReport*> points = AllPoints(series);
  const std::vector<std::string> names = PointNames(series);
  std::vector<PointNote> notes;
  for (size_t i = 0; i < points.size(); ++i) {
    for (const std::string& text : NotesOf(*points[i])) {
      auto found = std::find_if(notes.begin(), notes.end(),
                                [&](const PointNote& note) { return note.text == text; });
      if (found == notes.end()) found = notes.insert(notes.end(), PointNote{{}, text});
      found->points.push_back(names[i]);
    }
  }
  return notes;
}

std::string LatencyBasis(const std::vector<PointSeries>& series,
                         bool (*shown)(const PointReport& point)) {
  std::vector<const PointReport*> points = AllPoints(series);
  points.erase(std::remove_if(points.begin(), points.end(),
                              [&](const PointReport* point) { return !shown(*point); }),
               points.end());
  const auto from_due = [](const PointReport* point) { return IsFromDue(*point); };
  const auto open = [](const PointReport* point) { return HasSchedule(LoadOf(point->regatta())); };
  const bool all_open = std::all_of(points.begin(), points.end(), open);
  const std::string unknown = absl::StrJoin(WithoutSchedule(series, shown), "; ");
  if (std::none_of(points.begin(), points.end(), from_due)) {
    if (unknown.empty()) return "";
    return absl::StrCat("from when requests were sent, ",
                        all_open ? "" : absl::StrCat("those of ", unknown, " "), kNotKnown);
  }
  return absl::StrCat(
      "from when requests were due",
      all_open ? "" : " where there is a rate or a trace, else from when they were sent",
      unknown.empty()
          ? ""
          : absl::StrCat("; those of ", unknown, " from when they were sent, ", kNotKnown));
}

}  // namespace regatta
