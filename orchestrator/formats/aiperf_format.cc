// aiperf's profile_export_aiperf.json (schema 1.4 of aiperf 0.13) and the records beside it,
// profile_export.jsonl. Tags, units and models: aiperf/metrics, aiperf/common/models.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/formats/load_fields.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/request_times.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

constexpr PercentileNames kNames = {"min", "max", "avg"};

using nlohmann::ordered_json;

constexpr char kSchema[] = "1.4";
constexpr char kProfiling[] = "profiling";           // phases that are measured
constexpr char kOurs[] = "regatta";                  // who measured
constexpr char kFixedSchedule[] = "fixed_schedule";  // replays a trace
constexpr char kUserCentric[] = "user_centric";      // users that pace their turns: users / rate

ordered_json Single(const char* unit, double value) { return {{"unit", unit}, {"avg", value}}; }

ordered_json FromSamples(const char* unit, const std::vector<double>& samples) {
  const Distribution values(samples);
  ordered_json out = {{"unit", unit}, {"avg", values.mean()}};
  constexpr int kQuantiles[] = {1, 5, 10, 25, 50, 75, 90, 95, 99};
  for (int percent : kQuantiles) out[absl::StrCat("p", percent)] = values.At(percent / 100.0);
  out["min"] = values.At(0);
  out["max"] = values.At(1);
  out["std"] = values.Deviation(0);
  out["count"] = values.count();
  out["sum"] = values.sum();
  return out;
}

// From the samples where a run kept its requests, else from what was summarised.
ordered_json Block(const char* unit, const std::vector<double>& samples, const Percentiles& p) {
  if (!samples.empty()) return FromSamples(unit, samples);
  return {{"unit", unit},   {"avg", p.average()}, {"p50", p.p50()},     {"p90", p.p90()},
          {"p95", p.p95()}, {"p99", p.p99()},     {"min", p.minimum()}, {"max", p.maximum()}};
}

void WriteDerived(const PointReport& point, ordered_json& out) {
  const Performance& performance = point.performance();
  const RequestInfo& info = point.request_info();
  out["request_throughput"] = Single("requests/sec", performance.request_throughput_req_s());
  out["request_count"] = Single("requests", info.num_requests());
  if (point.regatta().failed_requests() > 0) {
    out["error_request_count"] = Single("requests", point.regatta().failed_requests());
  }
  out["output_token_throughput"] =
      Single("tokens/sec", performance.system_output_throughput_tok_s());
  out["total_token_throughput"] = Single("tokens/sec", performance.system_total_throughput_tok_s());
  out["benchmark_duration"] = Single("sec", performance.total_latency_ms() / 1e3);
  out["total_isl"] = Single("tokens", std::round(info.avg_input_length() * info.num_requests()));
  out["total_osl"] = Single("tokens", std::round(info.avg_output_length() * info.num_requests()));
}

void WriteDistributions(const PointReport& point, const RequestColumns& columns,
                        ordered_json& out) {
  out["request_latency"] =
      Block("ms", columns.latency_ms, point.performance().request_latency_percentiles_ms());
  if (point.has_streaming_metrics()) {
    const StreamingMetrics& metrics = point.streaming_metrics();
    out["time_to_first_token"] = Block("ms", columns.ttft_ms, metrics.ttft_percentiles());
    out["inter_token_latency"] = Block("ms", columns.tpot_ms, metrics.tpot_percentiles());
    out["output_token_throughput_per_user"] =
        Block("tokens/sec/user", columns.speed_tok_s, metrics.gen_tps_percentiles());
  }
  const DatasetInfo& dataset = point.dataset();
  out["output_sequence_length"] = Block("tokens", columns.output_tokens, dataset.osl_stats());
  out["input_sequence_length"] = Block("tokens", columns.input_tokens, dataset.isl_stats());
}

// What they call a load; users that are as many as the requests send them all at once. Their ramps
// are by time, ours by request: a rate that grows is on record as ours alone.
ordered_json PhaseOf(const RegattaInfo& info) {
  const LoadShape& load = info.load();
  const std::string arrival = ArrivalOf(info);
  ordered_json phase = {{"name", kProfiling}, {"kind", kProfiling}};
  phase["type"] = arrival == kTraceReplay   ? kFixedSchedule
                  : load.request_rate() > 0 ? arrival
                                            : "concurrency";
  if (phase["type"] == "") phase["type"] = nullptr;  // a rate alone is known
  phase["requests"] = info.issued_requests();
  const bool burst = arrival == kBurst && info.concurrency() == 0;
  const uint32_t most = burst ? info.issued_requests() : info.concurrency();
  if (most > 0) phase["concurrency"] = most;
  if (load.request_rate() > 0) phase["rate"] = load.request_rate();
  if (load.burstiness() > 0) phase["smoothness"] = load.burstiness();
  return phase;
}

std::string WriteSummary(const PointReport& point, const RequestColumns& columns) {
  const RegattaInfo& info = point.regatta();
  ordered_json out = {{"schema_version", kSchema}};
  WriteDerived(point, out);
  WriteDistributions(point, columns, out);
  out["was_cancelled"] = info.cut_short();
  out["error_summary"] = ordered_json::array();
  for (const auto& [message, count] : info.errors()) {
    out["error_summary"].push_back({{"error_details", {{"message", message}}}, {"count", count}});
  }
  absl::Time start;
  if (absl::ParseTime(absl::RFC3339_full, info.started_utc(), &start, nullptr)) {
    out["start_time"] = info.started_utc();
    out["end_time"] = absl::FormatTime(
        "%Y-%m-%dT%H:%M:%SZ", start + absl::Seconds(info.duration_s()), absl::UTCTimeZone());
  }
  out["input_config"] = {{"phases", ordered_json::array({PhaseOf(info)})}};
  // Fields of ours, which aiperf's models allow.
  out["regatta"] = OurLoad(info);
  out["measured_by"] = kOurs;
  out["model"] = point.engine().model();
  out["gpu_name"] = point.machine().name();
  out["gpu_count"] = point.world_info().world_size();
  return JsonText(out);
}

// Rounded; the last one that there is for times beyond it.
int64_t Nanoseconds(absl::Time start, double ms) {
  return absl::ToUnixNanos(start + absl::Milliseconds(ms) + absl::Nanoseconds(0.5));
}

// `streamed`: tokens have times.
ordered_json RecordMetrics(const RequestRecord& r, bool streamed) {
  ordered_json out = ordered_json::object();
  if (!r.error().empty()) return out;
  const RequestColumns one = ColumnsOf({&r, 1});
  const auto put = [&out](const char* tag, const std::vector<double>& value, const char* unit) {
    if (!value.empty()) out[tag] = {{"value", value[0]}, {"unit", unit}};
  };
  put("request_latency", one.latency_ms, "ms");
  if (streamed) {
    put("time_to_first_token", one.ttft_ms, "ms");
    put("inter_token_latency", one.tpot_ms, "ms");
    put("output_token_throughput_per_user", one.speed_tok_s, "tokens/sec/user");
  }
  put("input_sequence_length", one.input_tokens, "tokens");
  put("output_sequence_length", one.output_tokens, "tokens");
  return out;
}

std::string WriteRecords(const PointReport& point, const std::vector<RequestRecord>& requests) {
  absl::Time start = absl::UnixEpoch();
  absl::ParseTime(absl::RFC3339_full, point.regatta().started_utc(), &start, nullptr);
  std::string lines;
  for (const RequestRecord& r : requests) {
    ordered_json line;
    line["metadata"] = {{"session_num", r.index()},
                        {"x_request_id", absl::StrCat("bench-", r.index())},
                        {"conversation_id", r.task_id()},
                        {"turn_index", 0},
                        {"request_start_ns", Nanoseconds(start, r.sent_ms())},
                        {"request_end_ns", Nanoseconds(start, r.last_token_ms())},
                        {"worker_id", "regatta"},
                        {"record_processor_id", "regatta"},
                        {"benchmark_phase", kProfiling},
                        {"was_cancelled", r.cancelled()}};
    if (r.has_scheduled_ms()) {
      line["metadata"]["credit_issued_ns"] = Nanoseconds(start, r.scheduled_ms());
    }
    line["metrics"] = RecordMetrics(r, point.has_streaming_metrics());
    line["error"] = r.error().empty() ? ordered_json() : ordered_json{{"message", r.error()}};
    absl::StrAppend(&lines, line.dump(-1, ' ', false, ordered_json::error_handler_t::replace),
                    "\n");
  }
  return lines;
}

std::vector<TextFile> Write(const StoredRun& run) {
  std::vector<TextFile> files;
  for (int i = 0; i < run.sweep.points_size(); ++i) {
    const PointReport& point = run.sweep.points(i);
    const std::string folder = absl::StrCat("aiperf-", PointName(run.sweep, i), "/");
    const std::vector<RequestRecord> requests = RequestsOf(run, point);
    files.push_back(
        {folder + "profile_export_aiperf.json", WriteSummary(point, ColumnsOf(requests))});
    if (requests.empty()) continue;
    files.push_back({folder + "profile_export.jsonl", WriteRecords(point, requests)});
  }
  return files;
}

bool IsRecord(const nlohmann::json& value) {
  return value.is_object() && value.contains("metadata") && value.contains("metrics");
}

bool Recognizes(const nlohmann::json& value) {
  return IsRecord(value) || (value.is_object() && value.contains("request_latency") &&
                             value["request_latency"].is_object());
}

// As phases and older load generators' options have it.
struct LoadTerms {
  std::string type;
  double rate = 0;  // per second; of users, where it is 0
  uint32_t concurrency = 0;
  double smoothness = 1;
};

LoadTerms TermsOfPhase(const JsonFields& phase) {
  return {phase.TextOr("type", ""), phase.NumberOr("rate", 0),
          phase.CountOr("concurrency", phase.CountOr("users", 0)), phase.NumberOr("smoothness", 1)};
}

LoadTerms TermsOfLoadgen(const JsonFields& config) {
  const JsonFields loadgen = config.Object("loadgen");
  const bool replays = config.Object("input").Flag(kFixedSchedule);
  if (loadgen.Has("user_centric_rate")) {
    return {kUserCentric, loadgen.Number("user_centric_rate"), loadgen.CountOr("num_users", 0)};
  }
  const std::string mode = loadgen.TextOr("request_rate_mode", kPoisson);
  return {replays ? kFixedSchedule : loadgen.TextOr("arrival_pattern", mode),
          loadgen.NumberOr("request_rate", 0), loadgen.CountOr("concurrency", 0),
          loadgen.NumberOr("arrival_smoothness", 1)};
}

// Of the first phase that measures. `source` names the file.
LoadTerms TermsOf(const JsonFields& config, const nlohmann::json& phases, const std::string& source,
                  absl::Status& status) {
  if (!phases.is_array()) return TermsOfLoadgen(config);
  for (const nlohmann::json& phase : phases) {
    const JsonFields fields(phase, source + ": input_config: phases", status);
    if (fields.TextOr("kind", fields.TextOr("name", "")) != "warmup") return TermsOfPhase(fields);
  }
  return {};
}

// Where releases keep it: phases, or an older load generator's options; a sweep's variation stands
// above them.
LoadTerms ReadTerms(const JsonFields& fields, const nlohmann::json& value,
                    const std::string& source, absl::Status& status) {
  LoadTerms terms;
  const auto config = value.find("input_config");
  if (config != value.end() && config->is_object()) {
    const auto phases = config->find("phases");
    terms = TermsOf(fields.Object("input_config"),
                    phases == config->end() ? nlohmann::json() : *phases, source, status);
  }
  const JsonFields varied = fields.Object("run_info").Object("variation_values");
  for (const char* key : {"concurrency", "phases.profiling.concurrency"}) {
    terms.concurrency = varied.CountOr(key, terms.concurrency);
  }
  for (const char* key : {"request_rate", "phases.profiling.rate"}) {
    terms.rate = varied.NumberOr(key, terms.rate);
  }
  return terms;
}

void ReadLoad(const JsonFields& fields, const nlohmann::json& value, absl::Status& status,
              ImportDraft& draft, ImportedPoint& point) {
  RegattaInfo& info = *point.report.mutable_regatta();
  if (ReadOurLoad(fields, info)) return;
  const LoadTerms terms = ReadTerms(fields, value, point.source, status);
  if (terms.type == kUserCentric && terms.rate > 0) {
    draft.notes.insert(
        "user_centric users pace their turns: read as their rate, at most all at once");
  }
  info.set_concurrency(terms.concurrency);
  LoadShape& load = *info.mutable_load();
  load.set_request_rate(terms.rate);
  if (terms.type == kFixedSchedule) load.set_arrival(kTraceReplay);
  if (terms.type == kConstant || terms.type == kPoisson) load.set_arrival(terms.type);
  if (terms.type == kGamma) SetGaps(terms.smoothness, load);
  if (load.request_rate() == 0 && load.arrival() != kTraceReplay) load.clear_arrival();
}

// Our exports say it plainly; aiperf lists the models that it sent requests to.
std::string ReadModel(const JsonFields& fields, const nlohmann::json& value) {
  if (fields.Has("model")) return fields.TextOr("model", "");
  const nlohmann::json* at = &value;
  for (const char* key : {"input_config", "models", "items"}) {
    if (!at->is_object() || !at->contains(key)) return "";
    at = &at->find(key).value();
  }
  if (!at->is_array() || at->empty() || !at->front().is_object()) return "";
  const auto name = at->front().find("name");
  if (name == at->front().end() || !name->is_string()) return "";
  return name->get<std::string>().substr(0, kMaxImportText);
}

void ReadStreaming(const JsonFields& fields, StreamingMetrics& metrics) {
  ReadPercentiles(fields.Object("time_to_first_token"), kNames,
                  *metrics.mutable_ttft_percentiles());
  ReadPercentiles(fields.Object("inter_token_latency"), kNames,
                  *metrics.mutable_tpot_percentiles());
  ReadPercentiles(fields.Object("output_token_throughput_per_user"), kNames,
                  *metrics.mutable_gen_tps_percentiles());
  metrics.set_avg_ttft_ms(metrics.ttft_percentiles().average());
  metrics.set_avg_tpot_ms(metrics.tpot_percentiles().average());
  metrics.set_token_output_speed_tok_s(metrics.gen_tps_percentiles().average());
}

void ReadSummary(const JsonFields& fields, PointReport& point) {
  const auto average = [&](const char* tag) { return fields.Object(tag).NumberOr("avg", 0); };
  Performance& performance = *point.mutable_performance();
  point.mutable_request_info()->set_num_requests(std::min(average("request_count"), 4e9));
  SetMeanLengths(average("input_sequence_length"), average("output_sequence_length"), point);
  performance.set_request_throughput_req_s(fields.Object("request_throughput").Number("avg"));
  performance.set_system_output_throughput_tok_s(
      fields.Object("output_token_throughput").Number("avg"));
  performance.set_system_total_throughput_tok_s(average("total_token_throughput"));
  performance.set_total_latency_ms(average("benchmark_duration") * 1e3);
  ReadPercentiles(fields.Object("request_latency"), kNames,
                  *performance.mutable_request_latency_percentiles_ms());
  performance.set_avg_request_latency_ms(performance.request_latency_percentiles_ms().average());
  ReadPercentiles(fields.Object("input_sequence_length"), kNames,
                  *point.mutable_dataset()->mutable_isl_stats());
  ReadPercentiles(fields.Object("output_sequence_length"), kNames,
                  *point.mutable_dataset()->mutable_osl_stats());
  if (fields.Has("inter_token_latency")) ReadStreaming(fields, *point.mutable_streaming_metrics());
  RegattaInfo& info = *point.mutable_regatta();
  info.set_failed_requests(std::min(average("error_request_count"), 4e9));
  if (fields.Has("error_request_count")) {
    info.set_issued_requests(
        std::min(average("request_count") + average("error_request_count"), 4e9));
  }
  info.set_started_utc(fields.TextOr("start_time", ""));
  info.set_streaming(point.has_streaming_metrics());
}

absl::Status ReadRecord(const Document& document, std::vector<RequestRecord>& requests) {
  absl::Status status;
  const JsonFields fields(document.value, document.source, status);
  const JsonFields metadata = fields.Object("metadata"), metrics = fields.Object("metrics");
  if (metadata.TextOr("benchmark_phase", kProfiling) == "warmup") return status;
  const auto metric = [&](const char* tag) { return metrics.Object(tag).NumberOr("value", 0); };
  RequestRecord r;
  r.set_index(metadata.CountOr("session_num", 0));
  r.set_task_id(metadata.TextOr("conversation_id", ""));
  const double sent = metadata.Number("request_start_ns") / 1e6;
  r.set_sent_ms(sent);
  const std::optional<double> due_ns = metadata.MaybeNumber("credit_issued_ns");
  if (due_ns.has_value()) r.set_scheduled_ms(std::min(*due_ns / 1e6, sent));
  // Of one that was cancelled or failed there is its end alone.
  const double end = metadata.NumberOr("request_end_ns", sent * 1e6) / 1e6;
  const double took = std::max(0.0, end - sent);
  r.set_last_token_ms(sent + metrics.Object("request_latency").NumberOr("value", took));
  if (metric("time_to_first_token") > 0) r.set_first_token_ms(sent + metric("time_to_first_token"));
  r.set_input_tokens(std::min(metric("input_sequence_length"), 4e9));
  r.set_output_tokens(std::min(metric("output_sequence_length"), 4e9));
  r.set_asked_output_tokens(r.output_tokens());
  r.set_cancelled(metadata.Flag("was_cancelled"));
  if (fields.Has("error")) {
    r.set_error(fields.Object("error").TextOr("message", "failed"));
    if (r.error().empty()) r.set_error("failed");
  }
  requests.push_back(std::move(r));
  return status;
}

// Times from when the first request was due.
void Rebase(std::vector<RequestRecord>& requests) {
  double origin = requests.front().sent_ms();
  for (const RequestRecord& r : requests) origin = std::min({origin, r.sent_ms(), DueMs(r)});
  for (RequestRecord& r : requests) {
    if (r.has_scheduled_ms()) r.set_scheduled_ms(r.scheduled_ms() - origin);
    r.set_sent_ms(r.sent_ms() - origin);
    if (r.first_token_ms() > 0) r.set_first_token_ms(r.first_token_ms() - origin);
    r.set_last_token_ms(r.last_token_ms() - origin);
  }
}

// Their credit is issued when a place is free: under a limit it does not say when a request was
// due. In ours it is when it was due.
void KeepSchedule(const JsonFields& summary, const RegattaInfo& info,
                  std::vector<RequestRecord>& requests) {
  const bool waited = HasSchedule(LoadOf(info)) && info.concurrency() > 0;
  if (!waited || summary.TextOr("measured_by", "") == kOurs) return;
  for (RequestRecord& r : requests) r.clear_scheduled_ms();
}

// The summary of one folder, its records, or both.
absl::Status ReadRun(const std::vector<const Document*>& documents, ImportDraft& draft) {
  ImportedPoint point;
  const Document* summary = nullptr;
  for (const Document* document : documents) {
    if (IsRecord(document->value)) {
      RETURN_IF_ERROR(ReadRecord(*document, point.requests));
    } else if (std::exchange(summary, document) != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(document->source, ": is the second summary of its folder"));
    }
  }
  absl::Status status;
  const nlohmann::json none = nlohmann::json::object();
  const nlohmann::json& value = summary != nullptr ? summary->value : none;
  point.source = (summary != nullptr ? summary : documents[0])->source;
  const JsonFields fields(value, point.source, status);
  ReadLoad(fields, value, status, draft, point);
  if (!point.requests.empty()) {
    KeepSchedule(fields, point.report.regatta(), point.requests);
    Rebase(point.requests);
    point.report.mutable_regatta()->set_streaming(HasTokenTimes(point.requests));
    point.report = CompletePoint(std::move(point.report), {point.requests, {}});
  }
  if (summary != nullptr) ReadSummary(fields, point.report);
  point.report.mutable_engine()->set_model(ReadModel(fields, value));
  point.report.mutable_machine()->set_name(fields.TextOr("gpu_name", ""));
  point.report.mutable_world_info()->set_world_size(fields.CountOr("gpu_count", 0));
  const std::string version = fields.TextOr("aiperf_version", "");
  draft.tool = version.empty() ? "aiperf" : absl::StrCat("aiperf ", version);
  draft.points.push_back(std::move(point));
  return status;
}

absl::Status Read(const std::vector<Document>& documents, ImportDraft& draft) {
  std::map<std::string, std::vector<const Document*>> folders;
  for (const Document& document : documents) {
    const size_t slash = document.file.rfind('/');
    folders[slash == std::string::npos ? "" : document.file.substr(0, slash)].push_back(&document);
  }
  for (const auto& [folder, files] : folders) RETURN_IF_ERROR(ReadRun(files, draft));
  return absl::OkStatus();
}

constexpr Format kFormat = {"aiperf",
                            "profile_export_aiperf.json and profile_export.jsonl, a folder a point",
                            "profile_export_aiperf.json profile_export.jsonl",
                            /*split=*/nullptr,
                            Recognizes,
                            Read,
                            Write};

}  // namespace

const Format& AiperfFormat() { return kFormat; }

}  // namespace regatta
