// summary.csv of a run: a row a point, with the columns of RenderCsv (report/report_files.cc).
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr double kMostGpus = 65536;

// Cells of a line; commas between quotation marks belong to theirs.
std::vector<std::string> CellsOf(absl::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

// A number where it is one; an empty cell is a figure that is not known.
json ValueOf(const std::string& cell) {
  double number = 0;
  if (cell.empty()) return nullptr;
  if (absl::SimpleAtod(cell, &number)) return number;
  return cell;
}

bool Recognizes(const json& value) {
  return value.is_object() && value.contains("on_frontier") &&
         value.contains("output_throughput_per_gpu_tok_s");
}

// "tp2-ep2" or "dp2": sizes that are not named are one.
uint32_t SizeIn(const std::string& layout, absl::string_view name) {
  for (absl::string_view part : absl::StrSplit(layout, '-')) {
    uint32_t size = 0;
    if (absl::ConsumePrefix(&part, name) && absl::SimpleAtoi(part, &size)) return size;
  }
  return 1;
}

void ReadLayout(const JsonFields& fields, PointReport& point) {
  const std::string layout = fields.TextOr("layout", "");
  WorldInfo& world = *point.mutable_world_info();
  world.set_tp_size(SizeIn(layout, "tp"));
  world.set_pp_size(SizeIn(layout, "pp"));
  world.set_ep_size(SizeIn(layout, "ep"));
  world.set_dp_size(SizeIn(layout, "dp"));
  const double gpu = fields.NumberOr("output_throughput_per_gpu_tok_s", 0);
  const double all = fields.NumberOr("output_throughput_tok_s", 0);
  if (gpu <= 0) return;
  world.set_world_size(static_cast<uint32_t>(std::clamp(all / gpu + 0.5, 0.0, kMostGpus)));
}

Percentiles ReadQuantiles(const JsonFields& fields, const std::string& name) {
  Percentiles out;
  out.set_p50(fields.NumberOr(name + "_p50_ms", 0));
  out.set_p95(fields.NumberOr(name + "_p95_ms", 0));
  out.set_p99(fields.NumberOr(name + "_p99_ms", 0));
  return out;
}

absl::Status ReadPoint(const Document& document, ImportDraft& draft) {
  absl::Status status;
  const JsonFields fields(document.value, document.source, status);
  PointReport point;
  point.mutable_machine()->set_name(fields.TextOr("device", ""));
  point.mutable_engine()->set_quantization(fields.TextOr("precision", ""));
  point.mutable_request_info()->set_num_requests(fields.CountOr("num_requests", 0));
  SetMeanLengths(fields.NumberOr("mean_input_tokens", 0), fields.NumberOr("mean_output_tokens", 0),
                 point);
  ReadLayout(fields, point);
  Performance& performance = *point.mutable_performance();
  performance.set_request_throughput_req_s(fields.NumberOr("request_throughput_req_s", 0));
  performance.set_system_output_throughput_tok_s(fields.Number("output_throughput_tok_s"));
  *performance.mutable_request_latency_percentiles_ms() = ReadQuantiles(fields, "latency");
  RegattaInfo& info = *point.mutable_regatta();
  info.set_concurrency(fields.CountOr("concurrency", 0));
  info.set_failed_requests(fields.CountOr("failed_requests", 0));
  info.set_cancelled_requests(fields.CountOr("cancelled_requests", 0));
  info.mutable_load()->set_request_rate(fields.NumberOr("request_rate_req_s", 0));
  info.set_dummy_weights(fields.NumberOr("dummy_weights", 0) != 0);
  info.set_user_speed_tok_s(fields.NumberOr("output_speed_per_user_tok_s", 0));
  info.set_streaming(fields.Has("tpot_p50_ms"));
  if (info.streaming()) {
    StreamingMetrics& streaming = *point.mutable_streaming_metrics();
    streaming.set_token_output_speed_tok_s(info.user_speed_tok_s());
    *streaming.mutable_ttft_percentiles() = ReadQuantiles(fields, "ttft");
    *streaming.mutable_tpot_percentiles() = ReadQuantiles(fields, "tpot");
  }
  draft.points.push_back({std::move(point), {}});
  return status;
}

absl::Status Read(const std::vector<Document>& documents, ImportDraft& draft) {
  for (const Document& document : documents) RETURN_IF_ERROR(ReadPoint(document, draft));
  draft.tool = "summary.csv of regatta";
  draft.notes.insert("figures have six digits; there are quantiles, no means");
  return absl::OkStatus();
}

std::vector<TextFile> Write(const StoredRun& run) {
  return {{"summary.csv", RenderCsv(run.sweep)}};
}

constexpr Format kFormat = {"csv", "summary.csv, a row a point", Recognizes, Read, Write};

}  // namespace

const Format& CsvFormat() { return kFormat; }

absl::StatusOr<bool> AddCsvRows(const TextFile& file, std::vector<Document>& documents) {
  if (!absl::StartsWith(file.text, "concurrency,") || file.text.size() > kMaxImportBytes) {
    return false;
  }
  std::vector<std::string> names;
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++number;
    if (line.empty()) continue;
    const std::vector<std::string> cells = CellsOf(line);
    if (names.empty()) {
      names = cells;
      continue;
    }
    const std::string source = absl::StrCat(file.name, ":", number);
    if (!IsValidUtf8({line.data(), line.size()}))
      return absl::InvalidArgumentError(source + ": is not UTF-8");
    if (cells.size() != names.size()) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": has ", cells.size(),
                                                     " cells, the first line has ", names.size()));
    }
    json row = json::object();
    for (size_t i = 0; i < cells.size(); ++i) row[names[i]] = ValueOf(cells[i]);
    documents.push_back({file.name, source, std::move(row)});
    if (documents.size() > kMaxImportPoints) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.name, ": has more than ", kMaxImportPoints, " rows"));
    }
  }
  return true;
}

}  // namespace regatta
