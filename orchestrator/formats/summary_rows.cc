// Cells to points; see summary_rows.h.
#include "orchestrator/formats/summary_rows.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"
#include "orchestrator/formats/load_fields.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr absl::string_view kTexts[] = {"arrival", "device", "layout", "precision", "model"};

// An empty cell is a figure that is not known; what should be a number and is none is refused
// later, by name.
json ValueOf(const std::string& column, const std::string& cell) {
  double number = 0;
  if (cell.empty()) return nullptr;
  if (std::find(std::begin(kTexts), std::end(kTexts), column) != std::end(kTexts)) return cell;
  if (absl::SimpleAtod(cell, &number)) return number;
  return cell;
}

// "tp2-ep2" or "dp2"; 0 of a size that is not named.
uint32_t SizeIn(const std::string& layout, absl::string_view name) {
  for (absl::string_view part : absl::StrSplit(layout, '-')) {
    uint32_t size = 0;
    if (absl::ConsumePrefix(&part, name) && absl::SimpleAtoi(part, &size)) return size;
  }
  return 0;
}

// Sizes beside one that is named are one; of a server elsewhere none is.
void ReadLayout(const JsonFields& fields, PointReport& point) {
  const std::string layout = fields.TextOr("layout", "");
  point.mutable_regatta()->set_layout(layout);
  const uint32_t tp = SizeIn(layout, "tp"), pp = SizeIn(layout, "pp"), ep = SizeIn(layout, "ep"),
                 dp = SizeIn(layout, "dp");
  const uint32_t least = std::max({tp, pp, ep, dp}) > 0 ? 1 : 0;
  WorldInfo& world = *point.mutable_world_info();
  world.set_tp_size(std::max(tp, least));
  world.set_pp_size(std::max(pp, least));
  world.set_ep_size(std::max(ep, least));
  world.set_dp_size(std::max(dp, least));
  world.set_world_size(GpusOf(fields.NumberOr("output_throughput_tok_s", 0),
                              fields.NumberOr("output_throughput_per_gpu_tok_s", 0)));
}

bool TellsQuantiles(const JsonFields& fields, const std::string& name) {
  return fields.Has(name + "_p50_ms") || fields.Has(name + "_p95_ms") ||
         fields.Has(name + "_p99_ms");
}

Percentiles ReadQuantiles(const JsonFields& fields, const std::string& name) {
  Percentiles out;
  out.set_p50(fields.NumberOr(name + "_p50_ms", 0));
  out.set_p95(fields.NumberOr(name + "_p95_ms", 0));
  out.set_p99(fields.NumberOr(name + "_p99_ms", 0));
  return out;
}

// Tables of older runs do not have them; those of newer ones where requests were due by a schedule,
// which is a trace's where it has no rate.
void ReadScheduled(const JsonFields& fields, RegattaInfo& info) {
  const bool ttft = TellsQuantiles(fields, "ttft_scheduled");
  if (!ttft && !TellsQuantiles(fields, "latency_scheduled")) return;
  if (info.load().arrival() == kClosedLoop || info.load().arrival() == kBurst) {
    fields.Refuse("arrival", "one with a schedule, as there are latencies from when due");
  }
  if (!TellsQuantiles(fields, "latency_scheduled")) {
    fields.Refuse("latency_scheduled_p50_ms", "a number, as a TTFT from when due is told");
  }
  if (!ttft && TellsQuantiles(fields, "ttft")) {
    fields.Refuse("ttft_scheduled_p50_ms", "a number, as a latency from when due is told");
  }
  *info.mutable_latency_scheduled_ms() = ReadQuantiles(fields, "latency_scheduled");
  if (ttft) *info.mutable_ttft_scheduled_ms() = ReadQuantiles(fields, "ttft_scheduled");
  if (info.load().request_rate() == 0) info.mutable_load()->set_arrival(kTraceReplay);
}

// Tables of older runs do not count what was cancelled.
void ReadCounts(const JsonFields& fields, PointReport& point) {
  RegattaInfo& info = *point.mutable_regatta();
  const uint32_t completed = fields.CountOr("num_requests", 0);
  point.mutable_request_info()->set_num_requests(completed);
  info.set_failed_requests(fields.CountOr("failed_requests", 0));
  info.set_cancelled_requests(fields.CountOr("cancelled_requests", 0));
  if (!fields.Has("failed_requests")) return;
  info.set_issued_requests(
      std::min(1.0 * completed + info.failed_requests() + info.cancelled_requests(), 4e9));
}

// Tables of older runs do not say how requests arrived; none says all of it.
void ReadLoad(const JsonFields& fields, RegattaInfo& info, ImportDraft& draft) {
  info.set_concurrency(fields.CountOr("concurrency", 0));
  LoadShape& load = *info.mutable_load();
  load.set_arrival(fields.WordOr("arrival", "", kArrivals));
  load.set_request_rate(fields.NumberOr("request_rate_req_s", 0));
  load.set_replay_speedup(fields.NumberOr("replay_speedup", 0));
  CheckArrival(fields, load);
  if (load.arrival() == kGamma) {
    draft.notes.insert("a summary does not tell the shape of gamma gaps");
  }
  if (load.request_rate() > 0) {
    draft.notes.insert(
        "a summary does not tell a ramp: a rate may be the one that a ramp ended at");
  }
}

absl::Status ReadPoint(const Document& document, ImportDraft& draft) {
  absl::Status status;
  const JsonFields fields(document.value, document.source, status);
  PointReport point;
  point.mutable_machine()->set_name(fields.TextOr("device", ""));
  point.mutable_engine()->set_model(fields.TextOr("model", ""));
  point.mutable_engine()->set_quantization(fields.TextOr("precision", ""));
  SetMeanLengths(fields.NumberOr("mean_input_tokens", 0), fields.NumberOr("mean_output_tokens", 0),
                 point);
  ReadLayout(fields, point);
  ReadCounts(fields, point);
  Performance& performance = *point.mutable_performance();
  performance.set_request_throughput_req_s(fields.NumberOr("request_throughput_req_s", 0));
  performance.set_system_output_throughput_tok_s(fields.Number("output_throughput_tok_s"));
  *performance.mutable_request_latency_percentiles_ms() = ReadQuantiles(fields, "latency");
  RegattaInfo& info = *point.mutable_regatta();
  ReadLoad(fields, info, draft);
  ReadScheduled(fields, info);
  if (fields.Has("client_bound")) {
    info.mutable_client()->set_bound(fields.NumberOr("client_bound", 0) != 0);
  }
  info.set_dummy_weights(fields.NumberOr("dummy_weights", 0) != 0);
  const double speed_tok_s = fields.NumberOr("output_speed_per_user_tok_s", 0);
  info.set_streaming(fields.Has("tpot_p50_ms"));
  // Without times of tokens it is that of whole answers.
  if (!info.streaming()) performance.set_output_throughput_per_user_tok_s(speed_tok_s);
  if (info.streaming()) {
    info.set_user_speed_tok_s(speed_tok_s);
    StreamingMetrics& streaming = *point.mutable_streaming_metrics();
    streaming.set_token_output_speed_tok_s(info.user_speed_tok_s());
    *streaming.mutable_ttft_percentiles() = ReadQuantiles(fields, "ttft");
    *streaming.mutable_tpot_percentiles() = ReadQuantiles(fields, "tpot");
  }
  draft.points.push_back({.report = std::move(point), .source = document.source});
  return status;
}

}  // namespace

absl::Status SummaryRows::Add(size_t line, const std::vector<std::string>& cells) {
  const auto complain = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(file_, ":", line, ": ", what...));
  };
  for (const std::string& cell : cells) {
    if (!IsValidUtf8(cell)) return complain("is not UTF-8");
  }
  if (columns_.empty()) {
    if (cells.size() > kMaxSummaryColumns) {
      return complain("has more than ", kMaxSummaryColumns, " columns");
    }
    columns_ = cells;
    return absl::OkStatus();
  }
  if (cells.size() != columns_.size()) {
    return complain("has ", cells.size(), " cells, the table has ", columns_.size(), " columns");
  }
  if (documents_.size() >= kMaxImportPoints) {
    return complain("is one row too many, there may be ", kMaxImportPoints);
  }
  json row = json::object();
  for (size_t i = 0; i < cells.size(); ++i) row[columns_[i]] = ValueOf(columns_[i], cells[i]);
  documents_.push_back({file_, absl::StrCat(file_, ":", line), std::move(row)});
  return absl::OkStatus();
}

absl::Status ReadSummaryRows(const std::vector<Document>& documents, ImportDraft& draft) {
  for (const Document& document : documents) RETURN_IF_ERROR(ReadPoint(document, draft));
  draft.tool = "a summary of regatta";
  draft.notes.insert("figures have six digits; there are quantiles, no means");
  return absl::OkStatus();
}

}  // namespace regatta
