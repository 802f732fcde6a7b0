// Sections of the HTML page without charts.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "orchestrator/report/point_series.h"

namespace regatta {

// A table's cell with a name as it is, "<" and all.
std::string NameCell(const std::string& name);

// The best points of one run, each with the concurrency it was seen at.
std::string FactsHtml(const SweepReport& sweep);

// Of several runs: letter, name, subject, caveat.
std::string RunTableHtml(absl::Span<const ReportedRun> runs);

// Every point with its figures, and below it what limits them.
std::string PointTableHtml(absl::Span<const ReportedRun> runs);

// Layouts against concurrency, throughput and speed in colour; empty for a single series.
std::string HeatMapsHtml(absl::Span<const ReportedRun> runs);

// What a search recommends for each run that has one; empty where none has.
std::string RecommendationsHtml(absl::Span<const ReportedRun> runs);

// trtllm-bench's report of every point, folded.
std::string PointReportsHtml(absl::Span<const ReportedRun> runs);

// Commands, versions and machines.
std::string ProvenanceHtml(absl::Span<const ReportedRun> runs);

}  // namespace regatta
