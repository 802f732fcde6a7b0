// Rows of InferenceX (formerly InferenceMAX), agg_*.json: flat, times in seconds, throughputs per
// GPU. Names and formulas: utils/process_result.py there; rows of 2025 hold fewer fields.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/formats/load_fields.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

// Lengths there are uniform in 80 to 100 % of what is advertised; a point has ten requests per
// user.
constexpr double kMeanLengthPart = 0.9;
constexpr uint32_t kRequestsPerUser = 10;
constexpr char kProtocol[] = "inferencemax";

void WriteStatistic(const std::string& name, double ms, bool is_tpot, ordered_json& out) {
  out[name] = ms / 1e3;
  if (!is_tpot || ms <= 0) return;
  out[name.substr(0, name.size() - 4) + "intvty"] = 1e3 / ms;
}

void WriteMetric(const std::string& metric, const std::vector<double>& samples,
                 const Percentiles& summary, ordered_json& out) {
  const Distribution values(samples);
  const bool exact = values.count() > 0;
  const bool is_tpot = metric == "tpot";
  const auto put = [&](const char* statistic, double ms) {
    WriteStatistic(absl::StrCat(statistic, "_", metric), ms, is_tpot, out);
  };
  put("mean", exact ? values.mean() : summary.average());
  put("median", exact ? values.At(0.50) : summary.p50());
  if (exact) put("std", values.Deviation(0));
  put("p90", exact ? values.At(0.90) : summary.p90());
  put("p99", exact ? values.At(0.99) : summary.p99());
  if (exact) put("p99.9", values.At(0.999));
}

// As advertised: the longest ones where they were drawn by the protocol, else the mean ones that
// were asked for. The mean ones beside them are fields of ours, from which an import has them
// again.
void WriteLengths(const PointReport& point, ordered_json& row) {
  const DatasetInfo& dataset = point.dataset();
  const double asked_output = point.regatta().asked_output_length();
  const bool drawn = point.regatta().protocol() == kProtocol;
  row["isl"] = std::llround(drawn ? dataset.max_isl() : dataset.avg_isl());
  row["osl"] = std::llround(drawn              ? dataset.max_osl()
                            : asked_output > 0 ? asked_output
                                               : dataset.avg_osl());
  row["mean_isl"] = point.request_info().avg_input_length();
  row["mean_osl"] = point.request_info().avg_output_length();
}

void WriteConfiguration(const PointReport& point, ordered_json& row) {
  const WorldInfo& world = point.world_info();
  const EngineInfo& engine = point.engine();
  row["hw"] = point.machine().name();
  const bool users = ArrivalOf(point.regatta()) == kClosedLoop;  // the only load that they know
  row["conc"] = users ? ordered_json(point.regatta().concurrency()) : ordered_json();
  row["image"] = "";
  row["model"] = engine.model();
  row["infmax_model_prefix"] = "";
  row["framework"] = engine.backend();
  row["precision"] = engine.quantization().empty() ? engine.dtype() : engine.quantization();
  row["spec_decoding"] = "none";
  row["disagg"] = false;
  WriteLengths(point, row);
  row["is_multinode"] = false;
  row["tp"] = std::max(1u, world.tp_size());
  row["pp"] = std::max(1u, world.pp_size());
  row["dcp_size"] = row["pcp_size"] = 1;
  row["ep"] = std::max(1u, world.ep_size());
  row["dp_attention"] = "false";
  // Ours: copies, counts and other loads are no fields of theirs.
  row["num_gpus"] = std::max(1u, world.world_size());
  row["num_requests"] = point.request_info().num_requests();
  row["regatta"] = OurLoad(point.regatta());
}

ordered_json WriteRow(const StoredRun& run, const PointReport& point) {
  ordered_json row;
  WriteConfiguration(point, row);
  const double gpus = std::max(1u, point.world_info().world_size());
  const Performance& performance = point.performance();
  const double total = performance.system_total_throughput_tok_s();
  const double output = performance.system_output_throughput_tok_s();
  row["tput_per_gpu"] = total / gpus;
  row["output_tput_per_gpu"] = output / gpus;
  row["input_tput_per_gpu"] = (total - output) / gpus;
  const RequestColumns columns = ColumnsOf(RequestsOf(run, point));
  if (point.has_streaming_metrics()) {
    const StreamingMetrics& metrics = point.streaming_metrics();
    WriteMetric("ttft", columns.ttft_ms, metrics.ttft_percentiles(), row);
    WriteMetric("tpot", columns.tpot_ms, metrics.tpot_percentiles(), row);
    if (point.regatta().has_itl_ms()) WriteMetric("itl", {}, point.regatta().itl_ms(), row);
  }
  WriteMetric("e2el", columns.latency_ms, performance.request_latency_percentiles_ms(), row);
  return row;
}

std::vector<TextFile> Write(const StoredRun& run) {
  ordered_json rows = ordered_json::array();
  for (const PointReport& point : run.sweep.points()) rows.push_back(WriteRow(run, point));
  return {{"agg_regatta.json", JsonText(rows)}};
}

bool Recognizes(const nlohmann::json& value) {
  return value.is_object() && value.contains("tput_per_gpu") && value.contains("hw");
}

// Seconds to milliseconds.
void ReadMetric(const JsonFields& row, const std::string& metric, Percentiles& out) {
  const auto get = [&](const char* statistic) {
    return row.NumberOr(absl::StrCat(statistic, "_", metric), 0) * 1e3;
  };
  out.set_average(get("mean"));
  out.set_p50(get("median"));
  out.set_p90(get("p90"));
  out.set_p95(get("p95"));
  out.set_p99(get("p99"));
}

void ReadConfiguration(const JsonFields& row, PointReport& point) {
  EngineInfo& engine = *point.mutable_engine();
  engine.set_model(row.TextOr("model", ""));
  engine.set_backend(row.TextOr("framework", ""));
  engine.set_quantization(row.TextOr("precision", ""));
  engine.set_version(row.TextOr("image", ""));
  point.mutable_machine()->set_name(row.TextOr("hw", ""));
  WorldInfo& world = *point.mutable_world_info();
  world.set_tp_size(row.PositiveCountOr("tp", row.PositiveCountOr("decode_tp", 1)));
  world.set_pp_size(row.PositiveCountOr("pp", 1));
  world.set_ep_size(row.CountOr("ep", row.CountOr("decode_ep", 1)));
  const uint32_t disaggregated =
      row.CountOr("num_prefill_gpu", 0) + row.CountOr("num_decode_gpu", 0);
  const double aggregated =
      1.0 * world.tp_size() * world.pp_size() * row.PositiveCountOr("pcp_size", 1);
  const uint32_t gpus = disaggregated > 0 ? disaggregated : std::min(aggregated, 1e6);
  world.set_world_size(row.PositiveCountOr("num_gpus", gpus));
  RegattaInfo& info = *point.mutable_regatta();
  if (!ReadOurLoad(row, info)) {
    info.set_concurrency(row.CountOr("conc", 0));
    info.set_protocol(kProtocol);
  }
  info.set_streaming(true);
}

void ReadRequests(const JsonFields& row, PointReport& point, ImportDraft& draft) {
  const uint64_t drawn = uint64_t{kRequestsPerUser} * point.regatta().concurrency();
  point.mutable_request_info()->set_num_requests(
      row.CountOr("num_requests", std::min<uint64_t>(drawn, 4'000'000'000u)));
  if (row.Has("num_requests")) return;
  draft.notes.insert("number of requests is the protocol's ten per user");
}

void ReadLengths(const JsonFields& row, PointReport& point, ImportDraft& draft) {
  if (!row.Has("isl") || !row.Has("osl")) return;
  point.mutable_dataset()->set_max_isl(row.Number("isl"));
  point.mutable_dataset()->set_max_osl(row.Number("osl"));
  const bool told = row.Has("mean_isl") && row.Has("mean_osl");
  SetMeanLengths(told ? row.Number("mean_isl") : row.Number("isl") * kMeanLengthPart,
                 told ? row.Number("mean_osl") : row.Number("osl") * kMeanLengthPart, point);
  if (!told) draft.notes.insert("mean lengths are the protocol's 0.9 of those advertised");
}

void ReadThroughput(const JsonFields& row, PointReport& point, ImportDraft& draft) {
  const double gpus = point.world_info().world_size();
  const double decoding = row.CountOr("num_decode_gpu", 0);
  if (decoding > 0) draft.notes.insert("throughput per GPU is over prefill and decode GPUs");
  Performance& performance = *point.mutable_performance();
  performance.set_system_output_throughput_tok_s(row.Number("output_tput_per_gpu") *
                                                 (decoding > 0 ? decoding : gpus));
  performance.set_system_total_throughput_tok_s(row.Number("tput_per_gpu") * gpus);
  ReadMetric(row, "e2el", *performance.mutable_request_latency_percentiles_ms());
  performance.set_avg_request_latency_ms(performance.request_latency_percentiles_ms().average());
}

// Their speed of a user is the inverse of a TPOT, of the median one on their charts.
void ReadStreaming(const JsonFields& row, StreamingMetrics& metrics, ImportDraft& draft) {
  ReadMetric(row, "ttft", *metrics.mutable_ttft_percentiles());
  ReadMetric(row, "tpot", *metrics.mutable_tpot_percentiles());
  metrics.set_avg_ttft_ms(metrics.ttft_percentiles().average());
  metrics.set_avg_tpot_ms(metrics.tpot_percentiles().average());
  const double median = metrics.tpot_percentiles().p50();
  metrics.set_token_output_speed_tok_s(
      row.NumberOr("median_intvty", median > 0 ? 1e3 / median : 0));
  draft.notes.insert("speed per user is 1 / median TPOT");
}

absl::Status ReadRow(const Document& document, ImportDraft& draft) {
  absl::Status status;
  const JsonFields row(document.value, document.source, status);
  ImportedPoint point;
  point.source = document.source;
  ReadConfiguration(row, point.report);
  ReadRequests(row, point.report, draft);
  ReadLengths(row, point.report, draft);
  ReadThroughput(row, point.report, draft);
  ReadStreaming(row, *point.report.mutable_streaming_metrics(), draft);
  draft.points.push_back(std::move(point));
  return status;
}

absl::Status Read(const std::vector<Document>& documents, ImportDraft& draft) {
  for (const Document& document : documents) RETURN_IF_ERROR(ReadRow(document, draft));
  draft.tool = "InferenceX";
  return absl::OkStatus();
}

constexpr Format kFormat = {"inferencex",
                            "rows of InferenceX (InferenceMAX), agg_*.json",
                            "agg_*.json",
                            /*split=*/nullptr,
                            Recognizes,
                            Read,
                            Write};

}  // namespace

const Format& InferencexFormat() { return kFormat; }

}  // namespace regatta
