// trtllm-bench's report, as text and as --report_json. Keys: tensorrt_llm/bench/dataclasses/
// reporting.py; a PointReport has them but for the machine's.
#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/formats/load_fields.h"
#include "orchestrator/formats/trtllm_text.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

constexpr PercentileNames kNames = {"minimum", "maximum", "average"};

using nlohmann::json;
using nlohmann::ordered_json;

std::string WriteJson(const PointReport& point) {
  ordered_json out = ordered_json::parse(ToJson(point), nullptr, /*allow_exceptions=*/false);
  out["regatta"] = OurLoad(point.regatta());
  out["machine"] = {{"name", point.machine().name()}, {"memory.total", point.machine().memory()}};
  out["world_info"].erase("dp_size");
  return JsonText(out);
}

std::vector<TextFile> Write(const StoredRun& run) {
  std::vector<TextFile> files;
  for (int i = 0; i < run.sweep.points_size(); ++i) {
    const std::string name = absl::StrCat("trtllm-", PointName(run.sweep, i));
    files.push_back({name + ".txt", RenderTerminalReport(run.sweep.points(i))});
    files.push_back({name + ".json", WriteJson(run.sweep.points(i))});
  }
  return files;
}

bool Recognizes(const json& value) {
  return value.is_object() && value.contains("performance") && value.contains("world_info");
}

void ReadContext(const JsonFields& fields, PointReport& point) {
  const JsonFields engine = fields.Object("engine"), machine = fields.Object("machine");
  EngineInfo& info = *point.mutable_engine();
  info.set_model(engine.TextOr("model", ""));
  info.set_backend(engine.TextOr("backend", ""));
  info.set_version(engine.TextOr("version", ""));
  info.set_dtype(engine.TextOr("dtype", ""));
  info.set_kv_cache_dtype(engine.TextOr("kv_cache_dtype", ""));
  info.set_quantization(engine.TextOr("quantization", ""));
  point.mutable_machine()->set_name(machine.TextOr("name", ""));
  point.mutable_machine()->set_memory(machine.NumberOr("memory.total", 0));
  const JsonFields world = fields.Object("world_info");
  WorldInfo& out = *point.mutable_world_info();
  out.set_tp_size(world.CountOr("tp_size", 1));
  out.set_pp_size(world.CountOr("pp_size", 1));
  out.set_ep_size(world.CountOr("ep_size", 1));
  out.set_dp_size(world.CountOr("dp_size", 1));
  out.set_world_size(world.CountOr("world_size", 0));
  out.set_max_batch_size(world.CountOr("max_batch_size", 0));
  out.set_max_num_tokens(world.CountOr("max_num_tokens", 0));
  out.set_scheduling_policy(world.TextOr("scheduling_policy", ""));
  out.set_kv_cache_percentage(world.NumberOr("kv_cache_percentage", 0));
  const JsonFields requests = fields.Object("request_info");
  RequestInfo& load = *point.mutable_request_info();
  load.set_num_requests(requests.CountOr("num_requests", 0));
  load.set_avg_num_concurrent_requests(requests.NumberOr("avg_num_concurrent_requests", 0));
  SetMeanLengths(requests.NumberOr("avg_input_length", 0),
                 requests.NumberOr("avg_output_length", 0), point);
}

void ReadPerformance(const JsonFields& fields, Performance& out) {
  out.set_total_latency_ms(fields.Number("total_latency_ms"));
  out.set_avg_request_latency_ms(fields.NumberOr("avg_request_latency_ms", 0));
  out.set_request_throughput_req_s(fields.Number("request_throughput_req_s"));
  out.set_system_output_throughput_tok_s(fields.Number("system_output_throughput_tok_s"));
  out.set_system_total_throughput_tok_s(fields.NumberOr("system_total_throughput_tok_s", 0));
  out.set_output_throughput_per_user_tok_s(fields.NumberOr("output_throughput_per_user_tok_s", 0));
  ReadPercentiles(fields.Object("request_latency_percentiles_ms"), kNames,
                  *out.mutable_request_latency_percentiles_ms());
}

void ReadStreaming(const JsonFields& fields, StreamingMetrics& out) {
  out.set_token_output_speed_tok_s(fields.NumberOr("token_output_speed_tok_s", 0));
  out.set_avg_ttft_ms(fields.NumberOr("avg_ttft_ms", 0));
  out.set_avg_tpot_ms(fields.NumberOr("avg_tpot_ms", 0));
  ReadPercentiles(fields.Object("tpot_percentiles"), kNames, *out.mutable_tpot_percentiles());
  ReadPercentiles(fields.Object("ttft_percentiles"), kNames, *out.mutable_ttft_percentiles());
  ReadPercentiles(fields.Object("gen_tps_percentiles"), kNames, *out.mutable_gen_tps_percentiles());
}

void ReadDataset(const JsonFields& fields, DatasetInfo& out) {
  out.set_dataset_path(fields.TextOr("dataset_path", ""));
  out.set_num_requests(fields.CountOr("num_requests", 0));
  ReadPercentiles(fields.Object("isl_stats"), kNames, *out.mutable_isl_stats());
  ReadPercentiles(fields.Object("osl_stats"), kNames, *out.mutable_osl_stats());
  ReadPercentiles(fields.Object("seq_len_stats"), kNames, *out.mutable_seq_len_stats());
}

// Reports of ours say what was asked; others do not, and the mean says it for closed loops.
void ReadLoad(const JsonFields& fields, ImportedPoint& point, ImportDraft& draft) {
  RegattaInfo& info = *point.report.mutable_regatta();
  if (ReadOurLoad(fields, info)) return;
  info.set_protocol("trtllm-bench");
  draft.notes.insert("percentiles are sorted[int(n * p)]");
  const double users = point.report.request_info().avg_num_concurrent_requests();
  const auto named = LoadNamed(fields.Object("regatta").TextOr("load_name", ""));
  if (!named.has_value()) {
    point.likely_users = static_cast<uint32_t>(std::clamp(users + 0.5, 0.0, 4e9));
    return;
  }
  info.set_concurrency(named->concurrency);
  info.mutable_load()->set_request_rate(named->request_rate);
  info.mutable_load()->set_replay_speedup(named->replay_speedup);
  if (named->replay_speedup > 0) info.mutable_load()->set_arrival(kTraceReplay);
  if (*named == LoadKey()) info.mutable_load()->set_arrival(kBurst);
}

absl::Status ReadPoint(const Document& document, ImportDraft& draft) {
  absl::Status status;
  const JsonFields fields(document.value, document.source, status);
  ImportedPoint point;
  point.source = document.source;
  ReadContext(fields, point.report);
  ReadPerformance(fields.Object("performance"), *point.report.mutable_performance());
  RegattaInfo& info = *point.report.mutable_regatta();
  info.set_streaming(fields.Has("streaming_metrics"));
  if (info.streaming()) {
    ReadStreaming(fields.Object("streaming_metrics"), *point.report.mutable_streaming_metrics());
  }
  ReadDataset(fields.Object("dataset"), *point.report.mutable_dataset());
  // Of reports of ours.
  info.set_failed_requests(fields.Object("regatta").CountOr("failed_requests", 0));
  info.set_cancelled_requests(fields.Object("regatta").CountOr("cancelled_requests", 0));
  ReadLoad(fields, point, draft);
  if (document.format != nullptr) draft.notes.insert("figures have the digits that were printed");
  draft.points.push_back(std::move(point));
  return status;
}

std::string WithoutExtension(const std::string& file) { return file.substr(0, file.rfind('.')); }

// Of a report that is there in both forms, as an export has it, the JSON is read: it has all
// digits.
absl::Status Read(const std::vector<Document>& documents, ImportDraft& draft) {
  std::set<std::string> in_json;
  for (const Document& document : documents) {
    if (document.format == nullptr) in_json.insert(WithoutExtension(document.file));
  }
  for (const Document& document : documents) {
    const bool printed = document.format != nullptr;
    if (printed && in_json.count(WithoutExtension(document.file)) > 0) continue;
    RETURN_IF_ERROR(ReadPoint(document, draft));
  }
  draft.tool = absl::StrCat("trtllm-bench ", draft.points.back().report.engine().version());
  return absl::OkStatus();
}

constexpr Format kFormat = {"trtllm-bench",
                            "trtllm-bench's report, as --report_json and as it is printed",
                            "trtllm-*.json trtllm-*.txt",
                            SplitTrtllmText,
                            Recognizes,
                            Read,
                            Write};

}  // namespace

const Format& TrtllmFormat() { return kFormat; }

}  // namespace regatta
