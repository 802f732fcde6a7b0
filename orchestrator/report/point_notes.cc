// Sentences of points; see point_notes.h.
#include "orchestrator/report/point_notes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/statistics/headline_latency.h"

namespace regatta {

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

std::string LatencyBasis(const std::vector<PointSeries>& series) {
  const std::vector<const PointReport*> points = AllPoints(series);
  const auto from_due = [](const PointReport* point) { return IsFromDue(*point); };
  if (std::none_of(points.begin(), points.end(), from_due)) return "";
  const bool all = std::all_of(points.begin(), points.end(), from_due);
  return absl::StrCat(
      "from when requests were due",
      all ? "" : " where there is a rate or a trace, else from when they were sent");
}

}  // namespace regatta
