// `vllm bench serve --save-result` JSON, flat, one object per point; with --save-detailed arrays of
// the requests. Names, units and order: vllm/benchmarks/serve.py.
#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/formats/load_fields.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/request_times.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

// mean_, median_, std_ and percentiles of one metric. NumPy's deviation has divisor n.
void WriteMetric(const std::string& metric, const std::vector<double>& samples,
                 const Percentiles& summary, ordered_json& out) {
  const Distribution values(samples);
  const bool exact = values.count() > 0;
  const auto put = [&](const std::string& statistic, double value) {
    out[absl::StrCat(statistic, "_", metric, "_ms")] = value;
  };
  put("mean", exact ? values.mean() : summary.average());
  put("median", exact ? values.At(0.50) : summary.p50());
  if (exact) put("std", values.Deviation(0));
  put("p90", exact ? values.At(0.90) : summary.p90());
  put("p95", exact ? values.At(0.95) : summary.p95());
  put("p99", exact ? values.At(0.99) : summary.p99());
}

constexpr char kCancelled[] = "cancelled by the client";  // in place of an error

// Seconds; a request that failed has zeros and its error, as there. `streamed`: tokens have times.
void WriteDetails(const std::vector<RequestRecord>& requests, bool streamed, ordered_json& out) {
  for (const char* key :
       {"input_lens", "output_lens", "ttfts", "latencies", "start_times", "errors"}) {
    out[key] = ordered_json::array();
  }
  for (const RequestRecord& r : requests) {
    const bool done = Completed(r);
    out["input_lens"].push_back(r.input_tokens());
    out["output_lens"].push_back(done ? r.output_tokens() : 0);
    out["ttfts"].push_back(streamed && done && r.first_token_ms() > 0 ? TtftMs(r) / 1e3 : 0.0);
    out["latencies"].push_back(r.error().empty() ? std::max(0.0, LatencyMs(r)) / 1e3 : 0.0);
    out["start_times"].push_back(r.sent_ms() / 1e3);
    out["errors"].push_back(r.cancelled() ? kCancelled : r.error());
  }
  if (!KnowsSchedule(requests)) return;
  out["queue_times"] = ordered_json::array();
  for (const RequestRecord& r : requests) {
    out["queue_times"].push_back(std::max(0.0, r.sent_ms() - r.scheduled_ms()) / 1e3);
  }
}

// "inf" is a figure of theirs that JSON has no number for. One that is not known is left out, as
// null is what Python's Infinity becomes.
void WriteGaps(const LoadShape& load, ordered_json& out) {
  const std::optional<double> shape = ShapeOfGaps(load);
  if (!shape.has_value()) return;
  out["burstiness"] = std::isinf(*shape) ? ordered_json("inf") : ordered_json(*shape);
}

// A ramp's rates stand apart, and the rate is "inf" then. Of a trace they say neither rate nor
// gaps.
void WriteLoad(const RegattaInfo& info, ordered_json& out) {
  const LoadShape& load = info.load();
  const bool ramps = !load.ramp_up().empty(), replays = load.arrival() == kTraceReplay;
  const bool gaps = load.request_rate() > 0 && !ramps;
  out["request_rate"] = replays ? ordered_json() : gaps ? ordered_json(load.request_rate()) : "inf";
  if (!replays) WriteGaps(load, out);
  const uint32_t most = info.concurrency();
  out["max_concurrency"] = most > 0 ? ordered_json(most) : ordered_json();
  if (ramps) {
    out["ramp_up_strategy"] = load.ramp_up();
    out["ramp_up_start_rps"] = load.ramp_up_start_rate();
    out["ramp_up_end_rps"] = load.request_rate();
  }
  out["regatta"] = OurLoad(info);
}

void WriteTraffic(const PointReport& point, ordered_json& out) {
  out["date"] = point.regatta().started_utc();
  out["endpoint_type"] = out["backend"] = point.engine().backend();
  out["label"] = nullptr;
  out["model_id"] = point.engine().model();
  out["tokenizer_id"] = point.engine().model();
  out["num_prompts"] = point.regatta().issued_requests();
  out["num_gpus"] = point.world_info().world_size();  // as --metadata would add it
  out["hw"] = point.machine().name();
  WriteLoad(point.regatta(), out);
}

void WriteThroughput(const PointReport& point, ordered_json& out) {
  const Performance& performance = point.performance();
  const double requests = point.request_info().num_requests();
  out["duration"] = performance.total_latency_ms() / 1e3;
  out["completed"] = point.request_info().num_requests();
  out["failed"] = point.regatta().failed_requests();
  out["total_input_tokens"] = std::llround(requests * point.request_info().avg_input_length());
  out["total_output_tokens"] = std::llround(requests * point.request_info().avg_output_length());
  out["request_throughput"] = performance.request_throughput_req_s();
  const RegattaInfo& info = point.regatta();
  out["request_goodput"] =
      info.has_goodput() ? ordered_json(info.goodput().request_goodput_req_s()) : ordered_json();
  out["output_throughput"] = performance.system_output_throughput_tok_s();
  out["total_token_throughput"] = performance.system_total_throughput_tok_s();
}

std::string WritePoint(const StoredRun& run, const PointReport& point) {
  const std::vector<RequestRecord> requests = RequestsOf(run, point);
  const RequestColumns columns = ColumnsOf(requests);
  ordered_json out;
  WriteTraffic(point, out);
  WriteThroughput(point, out);
  if (!requests.empty()) WriteDetails(requests, point.has_streaming_metrics(), out);
  if (point.has_streaming_metrics()) {
    const StreamingMetrics& metrics = point.streaming_metrics();
    WriteMetric("ttft", columns.ttft_ms, metrics.ttft_percentiles(), out);
    WriteMetric("tpot", columns.tpot_ms, metrics.tpot_percentiles(), out);
    // Gaps are kept as a summary only.
    if (point.regatta().has_itl_ms()) WriteMetric("itl", {}, point.regatta().itl_ms(), out);
  }
  WriteMetric("e2el", columns.latency_ms, point.performance().request_latency_percentiles_ms(),
              out);
  return JsonText(out);
}

std::vector<TextFile> Write(const StoredRun& run) {
  std::vector<TextFile> files;
  for (int i = 0; i < run.sweep.points_size(); ++i) {
    files.push_back({absl::StrCat("vllm-", PointName(run.sweep, i), ".json"),
                     WritePoint(run, run.sweep.points(i))});
  }
  return files;
}

bool Recognizes(const nlohmann::json& value) {
  return value.is_object() && value.contains("output_throughput") && value.contains("duration") &&
         value.contains("completed");
}

// The requests, or none when the file was saved without details. Arrays of other lengths are an
// error: then it is not known what belongs together.
absl::StatusOr<std::vector<RequestRecord>> ReadDetails(const JsonFields& fields,
                                                       const Document& document) {
  const std::vector<double> input = fields.Numbers("input_lens"),
                            output = fields.Numbers("output_lens"), ttft = fields.Numbers("ttfts"),
                            latency = fields.Numbers("latencies"),
                            start = fields.Numbers("start_times"),
                            queue = fields.Numbers("queue_times");
  const std::vector<std::string> errors = fields.Texts("errors");
  if (output.empty() || latency.empty() || start.empty()) return std::vector<RequestRecord>();
  const bool due_told = fields.Has("queue_times");  // older files do not have them
  const size_t waits = due_told ? queue.size() : output.size();
  for (const size_t size : {input.size(), ttft.size(), latency.size(), start.size(), waits}) {
    if (size == output.size()) continue;
    return absl::InvalidArgumentError(absl::StrCat(document.source,
                                                   ": an array of the requests has ", size,
                                                   " elements, 'output_lens' has ", output.size()));
  }
  std::vector<double> due = start;
  for (size_t i = 0; i < queue.size(); ++i) due[i] -= queue[i];
  const double origin = *std::min_element(due.begin(), due.end());
  std::vector<RequestRecord> requests(output.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    RequestRecord& r = requests[i];
    if (!std::isfinite(due[i] + latency[i] + ttft[i] + input[i] + output[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat(document.source, ": request ", i, " has a figure that is no number"));
    }
    r.set_index(i);
    r.set_input_tokens(std::min(input[i], 4e9));
    r.set_output_tokens(std::min(output[i], 4e9));
    r.set_asked_output_tokens(r.output_tokens());
    if (due_told) r.set_scheduled_ms((due[i] - origin) * 1e3);
    r.set_sent_ms((start[i] - origin) * 1e3);
    if (ttft[i] > 0) r.set_first_token_ms(r.sent_ms() + ttft[i] * 1e3);
    r.set_last_token_ms(r.sent_ms() + latency[i] * 1e3);
    if (i < errors.size()) r.set_error(errors[i]);
    if (latency[i] <= 0 && r.error().empty()) r.set_error("failed");
    if (r.error() != kCancelled) continue;
    r.clear_error();
    r.set_cancelled(true);
  }
  return requests;
}

// What the file says of a metric; what it leaves out stays as computed from its requests.
void ReadMetric(const JsonFields& fields, const std::string& metric, Percentiles& out) {
  const auto get = [&](const char* statistic, double have) {
    return fields.NumberOr(absl::StrCat(statistic, "_", metric, "_ms"), have);
  };
  out.set_average(get("mean", out.average()));
  out.set_p50(get("median", get("p50", out.p50())));
  out.set_p90(get("p90", out.p90()));
  out.set_p95(get("p95", out.p95()));
  out.set_p99(get("p99", out.p99()));
}

// Without a rate requests are sent as `max_concurrency` lets through, all at once where it is null.
void ReadLoad(const JsonFields& fields, RegattaInfo& info) {
  if (ReadOurLoad(fields, info)) return;
  LoadShape& load = *info.mutable_load();
  double rate = fields.NumberOrInf("request_rate", 0);
  const uint32_t most = fields.CountOr("max_concurrency", 0);
  load.set_ramp_up(fields.WordOr("ramp_up_strategy", "", kRampUps));
  if (!load.ramp_up().empty()) {
    load.set_ramp_up_start_rate(fields.Number("ramp_up_start_rps"));
    rate = fields.Number("ramp_up_end_rps");
  }
  if (std::isinf(rate)) return SetUsers(most, info);
  info.set_concurrency(most);
  load.set_request_rate(rate);
  const double shape = fields.NumberOrInf("burstiness", 1);  // theirs, where it is not told
  if (shape > 0) SetGaps(shape, load);
}

void ReadTraffic(const JsonFields& fields, PointReport& point) {
  point.mutable_engine()->set_model(fields.TextOr("model_id", ""));
  point.mutable_engine()->set_backend(fields.TextOr("backend", ""));
  point.mutable_machine()->set_name(fields.TextOr("hw", ""));
  uint32_t gpus = fields.LooseCountOr("num_gpus", 0);
  const uint32_t tp = fields.LooseCountOr("tensor_parallel_size", fields.LooseCountOr("tp", 0));
  if (gpus == 0) gpus = tp;
  point.mutable_world_info()->set_world_size(gpus);
  point.mutable_world_info()->set_tp_size(tp);
  RegattaInfo& info = *point.mutable_regatta();
  ReadLoad(fields, info);
  info.set_failed_requests(fields.CountOr("failed", 0));
  info.set_issued_requests(fields.CountOr("num_prompts", 0));
  info.set_started_utc(fields.TextOr("date", ""));
}

void ReadFigures(const JsonFields& fields, PointReport& point, ImportDraft& draft) {
  const double completed = fields.Number("completed");
  point.mutable_request_info()->set_num_requests(fields.CountOr("completed", 0));
  if (completed > 0) {
    SetMeanLengths(fields.NumberOr("total_input_tokens", 0) / completed,
                   fields.NumberOr("total_output_tokens", 0) / completed, point);
  }
  Performance& performance = *point.mutable_performance();
  performance.set_total_latency_ms(fields.Number("duration") * 1e3);
  performance.set_request_throughput_req_s(fields.NumberOr("request_throughput", 0));
  performance.set_system_output_throughput_tok_s(fields.Number("output_throughput"));
  performance.set_system_total_throughput_tok_s(fields.NumberOr("total_token_throughput", 0));
  ReadMetric(fields, "e2el", *performance.mutable_request_latency_percentiles_ms());
  performance.set_avg_request_latency_ms(performance.request_latency_percentiles_ms().average());
  if (!fields.Has("mean_tpot_ms") && !fields.Has("median_tpot_ms")) return;
  point.mutable_regatta()->set_streaming(true);
  StreamingMetrics& metrics = *point.mutable_streaming_metrics();
  ReadMetric(fields, "ttft", *metrics.mutable_ttft_percentiles());
  ReadMetric(fields, "tpot", *metrics.mutable_tpot_percentiles());
  if (fields.Has("mean_itl_ms")) {
    ReadMetric(fields, "itl", *point.mutable_regatta()->mutable_itl_ms());
  }
  metrics.set_avg_ttft_ms(metrics.ttft_percentiles().average());
  metrics.set_avg_tpot_ms(metrics.tpot_percentiles().average());
  if (metrics.token_output_speed_tok_s() == 0 && metrics.tpot_percentiles().p50() > 0) {
    metrics.set_token_output_speed_tok_s(1e3 / metrics.tpot_percentiles().p50());
    draft.notes.insert("speed per user is 1 / median TPOT");
  }
}

absl::Status ReadPoint(const Document& document, ImportDraft& draft) {
  absl::Status status;
  const JsonFields fields(document.value, document.source, status);
  ImportedPoint point;
  ReadTraffic(fields, point.report);
  ASSIGN_OR_RETURN(point.requests, ReadDetails(fields, document));
  point.source = document.source;
  point.report.mutable_regatta()->set_streaming(HasTokenTimes(point.requests));
  if (!point.requests.empty()) {
    point.report = CompletePoint(std::move(point.report), {point.requests, {}});
    draft.notes.insert("figures that are not in the file come from its requests");
  }
  ReadFigures(fields, point.report, draft);
  draft.points.push_back(std::move(point));
  return status;
}

absl::Status Read(const std::vector<Document>& documents, ImportDraft& draft) {
  for (const Document& document : documents) RETURN_IF_ERROR(ReadPoint(document, draft));
  draft.tool = "vllm bench serve";
  return absl::OkStatus();
}

constexpr Format kFormat = {"vllm",
                            "JSON of `vllm bench serve`, with arrays of the requests",
                            "vllm-*.json *qps*.json",
                            /*split=*/nullptr,
                            Recognizes,
                            Read,
                            Write};

}  // namespace

const Format& VllmFormat() { return kFormat; }

}  // namespace regatta
