// Files of a sweep and the JSON form of every result message; see report.h.
#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/atomic_file.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "orchestrator/report/finite_numbers.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/html_page.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/svg_chart.h"
#include "orchestrator/report/sweep_charts.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

bool Always(const PointReport&, double) { return true; }
bool OfFailures(const PointReport& point, double) { return KnowsFailures(point); }
bool Published(const PointReport& point, double figure) { return IsKnown(point, figure); }
bool OfRequests(const PointReport& point, double figure) {
  return HasCompleted(point) && IsKnown(point, figure);
}
bool OfTokens(const PointReport& point, double figure) {
  return HasTokenTimes(point) && IsKnown(point, figure);
}

// Where there is no schedule, the latencies from when requests were sent are all there is to say.
bool OfRequestsFromDue(const PointReport& point, double figure) {
  return IsFromDue(point) && OfRequests(point, figure);
}
bool OfTokensFromDue(const PointReport& point, double figure) {
  return IsFromDue(point) && OfTokens(point, figure);
}
bool OfJudgedClient(const PointReport& point, double) { return point.regatta().has_client(); }

struct Column {
  const char* name;
  double (*get)(const PointReport&);
  bool (*known)(const PointReport&, double figure) = OfRequests;
};

// Six digits; empty where there was nothing to measure or it was not published.
std::string Cell(const Column& column, const PointReport& point) {
  const double figure = column.get(point);
  return column.known(point, figure) ? absl::StrFormat("%.6g", figure) : "";
}

// Columns of summary.csv and summary.md, before kContextColumns.
constexpr Column kColumns[] = {
    {"concurrency", [](const PointReport& p) -> double { return p.regatta().concurrency(); },
     Always},
    {"num_requests", [](const PointReport& p) -> double { return p.request_info().num_requests(); },
     Always},
    {"failed_requests",
     [](const PointReport& p) -> double { return p.regatta().failed_requests(); }, OfFailures},
    {"cancelled_requests",
     [](const PointReport& p) -> double { return p.regatta().cancelled_requests(); }, Published},
    {"request_throughput_req_s",
     [](const PointReport& p) { return p.performance().request_throughput_req_s(); }},
    {"output_throughput_tok_s",
     [](const PointReport& p) { return p.performance().system_output_throughput_tok_s(); }},
    {"output_throughput_per_gpu_tok_s", GpuThroughput},
    {"output_speed_per_user_tok_s", UserSpeed},
    {"ttft_p50_ms",
     [](const PointReport& p) { return p.streaming_metrics().ttft_percentiles().p50(); }, OfTokens},
    {"ttft_p95_ms",
     [](const PointReport& p) { return p.streaming_metrics().ttft_percentiles().p95(); }, OfTokens},
    {"ttft_p99_ms",
     [](const PointReport& p) { return p.streaming_metrics().ttft_percentiles().p99(); }, OfTokens},
    {"tpot_p50_ms",
     [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p50(); }, OfTokens},
    {"tpot_p95_ms",
     [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p95(); }, OfTokens},
    {"tpot_p99_ms",
     [](const PointReport& p) { return p.streaming_metrics().tpot_percentiles().p99(); }, OfTokens},
    {"latency_p50_ms",
     [](const PointReport& p) { return p.performance().request_latency_percentiles_ms().p50(); }},
    {"latency_p99_ms",
     [](const PointReport& p) { return p.performance().request_latency_percentiles_ms().p99(); }},
    {"mean_input_tokens", [](const PointReport& p) { return p.request_info().avg_input_length(); }},
    {"mean_output_tokens",
     [](const PointReport& p) { return p.request_info().avg_output_length(); }},
    {"request_rate_req_s", [](const PointReport& p) { return p.regatta().load().request_rate(); },
     Always},
    {"replay_speedup", [](const PointReport& p) { return LoadOf(p.regatta()).replay_speedup; },
     [](const PointReport&, double figure) { return figure > 0; }},
    {"ttft_scheduled_p50_ms", [](const PointReport& p) { return HeadlineTtft(p).p50(); },
     OfTokensFromDue},
    {"ttft_scheduled_p95_ms", [](const PointReport& p) { return HeadlineTtft(p).p95(); },
     OfTokensFromDue},
    {"ttft_scheduled_p99_ms", [](const PointReport& p) { return HeadlineTtft(p).p99(); },
     OfTokensFromDue},
    {"latency_scheduled_p50_ms", [](const PointReport& p) { return HeadlineLatency(p).p50(); },
     OfRequestsFromDue},
    {"latency_scheduled_p99_ms", [](const PointReport& p) { return HeadlineLatency(p).p99(); },
     OfRequestsFromDue},
    {"client_bound", [](const PointReport& p) -> double { return p.regatta().client().bound(); },
     OfJudgedClient},
};
constexpr const char* kContextColumns[] = {"arrival", "on_frontier", "device", "dummy_weights",
                                           "layout",  "precision",   "model"};

using CellRow = std::vector<std::string>;

// Empty of a word that is none of ours: imports refuse a table with it.
std::string ArrivalCell(const PointReport& point) {
  const std::string arrival = ArrivalOf(point.regatta());
  const bool known =
      std::find(std::begin(kArrivals), std::end(kArrivals), arrival) != std::end(kArrivals);
  return known ? arrival : "";
}

// The names of the columns, then a row a point.
std::vector<CellRow> SummaryRowsOf(const SweepReport& sweep) {
  std::vector<CellRow> rows(1);
  for (const Column& column : kColumns) rows[0].push_back(column.name);
  rows[0].insert(rows[0].end(), std::begin(kContextColumns), std::end(kContextColumns));
  const std::vector<bool> frontier = OnFrontier(sweep);
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& point = sweep.points(i);
    CellRow& row = rows.emplace_back();
    for (const Column& column : kColumns) row.push_back(Cell(column, point));
    for (const std::string& cell :
         {ArrivalCell(point), std::string(frontier[i] ? "1" : "0"), point.machine().name(),
          std::string(point.regatta().dummy_weights() ? "1" : "0"), point.regatta().layout(),
          PrecisionOf(point), point.engine().model()}) {
      row.push_back(absl::StrReplaceAll(cell, {{"\n", " "}, {"\r", " "}}));
    }
  }
  return rows;
}

// In quotation marks where it is not one word.
std::string CsvCell(const std::string& cell) {
  if (cell.find_first_of(" ,\"") == std::string::npos) return cell;
  return absl::StrCat("\"", absl::StrReplaceAll(cell, {{"\"", "\"\""}}), "\"");
}

std::string MarkdownLine(const CellRow& row) {
  std::string line;
  for (const std::string& cell : row) {
    absl::StrAppend(&line, "| ", absl::StrReplaceAll(cell, {{"|", "\\|"}}), " ");
  }
  return line + "|\n";
}

}  // namespace

std::string RenderCsv(const SweepReport& sweep) {
  std::string out;
  for (CellRow& row : SummaryRowsOf(sweep)) {
    std::transform(row.begin(), row.end(), row.begin(), CsvCell);
    absl::StrAppend(&out, absl::StrJoin(row, ","), "\n");
  }
  return out;
}

std::string RenderMarkdown(const SweepReport& sweep) {
  std::string out = absl::StrCat("# ", SweepSubject(sweep), "\n\n");
  const std::string caveat = SweepCaveat(sweep);
  if (!caveat.empty()) absl::StrAppend(&out, "**", caveat, "**\n\n");
  const std::vector<CellRow> rows = SummaryRowsOf(sweep);
  for (size_t i = 0; i < rows.size(); ++i) {
    absl::StrAppend(&out, MarkdownLine(rows[i]));
    if (i > 0) continue;
    for (size_t column = 0; column < rows[0].size(); ++column) absl::StrAppend(&out, "|---:");
    absl::StrAppend(&out, "|\n");
  }
  const std::string& directory = sweep.working_directory();
  return absl::StrCat(out, "\n```\n", sweep.command(), "\n```\n",
                      directory.empty() ? "" : absl::StrCat("\nin `", directory, "`\n"));
}

absl::Status WriteReports(const SweepReport& sweep, const std::string& dir, bool markdown) {
  ReportedRun run;
  run.sweep = sweep;
  ASSIGN_OR_RETURN(run.details, LoadRunDetails(dir, sweep));
  RETURN_IF_ERROR(WriteOverlay({&run, 1}, dir));
  RETURN_IF_ERROR(WriteFileAtomically(dir + "/summary.csv", RenderCsv(sweep)));
  if (markdown) RETURN_IF_ERROR(WriteFileAtomically(dir + "/summary.md", RenderMarkdown(sweep)));
  return absl::OkStatus();
}

absl::Status WriteOverlay(absl::Span<const ReportedRun> runs, const std::string& dir) {
  RETURN_IF_ERROR(WriteFileAtomically(dir + "/report.html", RenderHtml(runs)));
  return WriteFileAtomically(dir + "/pareto.svg", RenderSvg(FrontierChart(runs)));
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json : "{}";
}

absl::Status FromJson(absl::string_view json, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(
      std::string(json.data(), json.size()), &message, options);
  if (status.ok()) return CheckFinite(message);
  RETURN_IF_ERROR(ParseJson(json).status());
  std::string text(status.message());
  std::replace(text.begin(), text.end(), '\n', ' ');
  return absl::InvalidArgumentError(absl::StrCat("not a result file: ", text));
}

}  // namespace regatta
