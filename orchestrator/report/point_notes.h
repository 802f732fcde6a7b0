// What is said beside a table of points: from when latencies are counted, and what limits figures.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/report/point_series.h"
#include "proto/results.pb.h"

namespace regatta {

// What limits a point's figures, a sentence each: its warnings, and why it is too short to tell how
// many ran.
std::vector<std::string> NotesOf(const PointReport& point);

// A sentence and the names of all points that it is said of.
struct PointNote {
  std::vector<std::string> points;
  std::string text;
};
// Each sentence once, in order of first appearance; points have the names of PointNames.
std::vector<PointNote> NotesOf(const std::vector<PointSeries>& series);

// "from when requests were due": what HeadlineTtft and HeadlineLatency are of the points that are
// `shown`, which have them; it names those that had a rate or a trace of which nobody tells when
// requests were due. Empty where all others are from when requests were sent.
std::string LatencyBasis(const std::vector<PointSeries>& series,
                         bool (*shown)(const PointReport& point));

}  // namespace regatta
