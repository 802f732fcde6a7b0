// What a person and other tools read of a run: terminal, JSON, CSV, Markdown, SVG, HTML. Renders
// messages of proto/results.proto; computes no metric.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "orchestrator/report/point_series.h"
#include "proto/results.pb.h"

namespace regatta {

// trtllm-bench's terminal report of one load point, labels byte for byte. Says "device: CPU ranks,
// not a performance figure" and "dummy" where they hold. Of a point that completed nothing only
// that, and why.
std::string RenderTerminalReport(const PointReport& point);

// The figures of one load point that a frontier is made of, in a line, and its warnings.
std::string RenderPointLines(const PointReport& point);

// A table of the points and the frontier (per-GPU output throughput against per-user output speed)
// drawn in at most `width` columns; of an experiment over layouts also which one wins at which
// speed.
std::string RenderSweepOverview(const SweepReport& sweep, bool color, int width);

// "Repeat:" with the command, and the directory that its paths start from where that is known.
std::string RepeatLines(const SweepReport& sweep);

// Writes report.html, pareto.svg and summary.csv, and summary.md when `markdown`, into the existing
// directory `dir`, with what requests.jsonl and timeline.jsonl there say. Errors name the file that
// could not be read or written.
absl::Status WriteReports(const SweepReport& sweep, const std::string& dir, bool markdown);

// Writes report.html and pareto.svg of several runs, one over the other, into the existing
// directory `dir`.
absl::Status WriteOverlay(absl::Span<const ReportedRun> runs, const std::string& dir);

// The points as a table: summary.csv, and summary.md with the command that repeats the sweep.
std::string RenderCsv(const SweepReport& sweep);
std::string RenderMarkdown(const SweepReport& sweep);

// SweepReport.schema of the results that this program writes and reads.
inline constexpr char kSweepSchema[] = "regatta-sweep-1";

// JSON with the field names of the .proto, zero values included, two-space indent.
std::string ToJson(const google::protobuf::Message& message);
// INVALID_ARGUMENT with line and column, or the field that does not fit or is no finite number;
// unknown fields are ignored, so that newer results can be read.
absl::Status FromJson(absl::string_view json, google::protobuf::Message& message);

}  // namespace regatta
