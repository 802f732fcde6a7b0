// The report of one load point in trtllm-bench's wording: section order, labels and columns byte
// for byte, so that scrapers of its output work on ours. Source of the layout: the sample run of
// NVIDIA's article.
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/terminal_figures.h"

namespace regatta {
namespace {

std::string Header(const std::string& name) {
  return absl::StrCat(kReportRule, "= ", name, "\n", kReportRule);
}

std::string OrNone(const std::string& value) { return value.empty() ? "None" : value; }

// `label` padded to the column where its value starts.
std::string Line(const std::string& label, int column, const std::string& value) {
  return absl::StrFormat("%-*s%s\n", column, label, value);
}

std::string Line(const std::string& label, int column, double value) {
  return Line(label, column, absl::StrFormat("%.4f", value));
}

std::string BackendSection(const EngineInfo& engine) {
  // Reports imported from trtllm-bench keep its own name for the version.
  const bool pytorch = engine.backend() == "pytorch";
  std::string text = Header(absl::AsciiStrToUpper(engine.backend()) + " BACKEND");
  absl::StrAppend(&text, Line("Model:", 24, engine.model()));
  absl::StrAppend(&text, Line("Model Path:", 24, OrNone(engine.model_path())));
  absl::StrAppend(
      &text, Line(pytorch ? "TensorRT-LLM Version:" : "Regatta Version:", 24, engine.version()));
  absl::StrAppend(&text, Line("Dtype:", 24, engine.dtype()));
  absl::StrAppend(&text, Line("KV Cache Dtype:", 24, OrNone(engine.kv_cache_dtype())));
  absl::StrAppend(&text, Line("Quantization:", 24, OrNone(engine.quantization())), "\n");
  return text;
}

std::string RequestSection(const RequestInfo& info) {
  std::string text = Header("REQUEST DETAILS");
  absl::StrAppend(&text, Line("Number of requests:", 32, absl::StrCat(info.num_requests())));
  absl::StrAppend(&text,
                  Line("Number of concurrent requests:", 32, info.avg_num_concurrent_requests()));
  absl::StrAppend(&text, Line("Average Input Length (tokens):", 32, info.avg_input_length()));
  absl::StrAppend(&text, Line("Average Output Length (tokens):", 32, info.avg_output_length()));
  return text;
}

std::string WorldSection(const WorldInfo& world) {
  const std::string ep = world.ep_size() > 1 ? absl::StrCat(world.ep_size()) : "None";
  std::string text = Header("WORLD + RUNTIME INFORMATION");
  absl::StrAppend(&text, Line("TP Size:", 24, absl::StrCat(world.tp_size())));
  absl::StrAppend(&text, Line("PP Size:", 24, absl::StrCat(world.pp_size())));
  absl::StrAppend(&text, Line("EP Size:", 24, ep));
  if (world.dp_size() > 1)
    absl::StrAppend(&text, Line("DP Size:", 24, absl::StrCat(world.dp_size())));
  absl::StrAppend(&text, Line("Max Runtime Batch Size:", 24, absl::StrCat(world.max_batch_size())));
  absl::StrAppend(&text, Line("Max Runtime Tokens:", 24, absl::StrCat(world.max_num_tokens())));
  absl::StrAppend(&text, Line("Scheduling Policy:", 24, world.scheduling_policy()));
  absl::StrAppend(&text, Line("KV Memory Percentage:", 24,
                              absl::StrFormat("%.2f%%", world.kv_cache_percentage() * 100)));
  absl::StrAppend(
      &text, Line("Issue Rate (req/sec):", 24, absl::StrFormat("%.4E", world.issue_rate())), "\n");
  return text;
}

std::string Breakdown(const std::string& tag, const Percentiles& p, bool percentiles_first) {
  const std::string extremes =
      absl::StrFormat("[%s] MINIMUM: %.4f\n[%s] MAXIMUM: %.4f\n[%s] AVERAGE: %.4f\n", tag,
                      p.minimum(), tag, p.maximum(), tag, p.average());
  const std::string tail = absl::StrFormat(
      "[%s] P50    : %.4f\n[%s] P90    : %.4f\n[%s] P95    : %.4f\n[%s] P99    : %.4f\n", tag,
      p.p50(), tag, p.p90(), tag, p.p95(), tag, p.p99());
  return percentiles_first ? tail + extremes : extremes + tail;
}

std::string StreamingSection(const StreamingMetrics& metrics) {
  std::string text = Line("Average time-to-first-token [TTFT] (ms):", 43, metrics.avg_ttft_ms());
  absl::StrAppend(&text,
                  Line("Average time-per-output-token [TPOT] (ms):", 43, metrics.avg_tpot_ms()));
  absl::StrAppend(
      &text, Line("Per User Output Speed (tps/user):", 43, metrics.token_output_speed_tok_s()));
  absl::StrAppend(&text, "\n-- Per-Request Time-per-Output-Token [TPOT] Breakdown (ms)\n\n",
                  Breakdown("TPOT", metrics.tpot_percentiles(), false));
  absl::StrAppend(&text, "\n-- Per-Request Time-to-First-Token [TTFT] Breakdown (ms)\n\n",
                  Breakdown("TTFT", metrics.ttft_percentiles(), false));
  absl::StrAppend(&text, "\n-- Per-Request Generation Throughput [GTPS] Breakdown (tps/user)\n\n",
                  Breakdown("GTPS", metrics.gen_tps_percentiles(), false));
  return text;
}

std::string PerformanceSection(const PointReport& report) {
  const Performance& perf = report.performance();
  std::string text = Header("PERFORMANCE OVERVIEW");
  const auto add = [&text](const char* label, double value) {
    absl::StrAppend(&text, Line(label, 50, value));
  };
  add("Request Throughput (req/sec):", perf.request_throughput_req_s());
  add("Total Output Throughput (tokens/sec):", perf.system_output_throughput_tok_s());
  add("Total Token Throughput (tokens/sec):", perf.system_total_throughput_tok_s());
  add("Total Latency (ms):", perf.total_latency_ms());
  add("Average request latency (ms):", perf.avg_request_latency_ms());
  add("Per User Output Throughput [w/ ctx] (tps/user):", perf.output_throughput_per_user_tok_s());
  add("Per GPU Output Throughput (tps/gpu):", perf.output_throughput_per_gpu_tok_s());
  if (report.has_streaming_metrics())
    absl::StrAppend(&text, StreamingSection(report.streaming_metrics()));
  absl::StrAppend(&text, "\n-- Request Latency Breakdown (ms) -----------------------\n\n",
                  Breakdown("Latency", perf.request_latency_percentiles_ms(), true), "\n");
  return text;
}

std::string DatasetSection(const DatasetInfo& dataset) {
  std::string text = Header("DATASET DETAILS");
  absl::StrAppend(&text, Line("Dataset Path:", 22, dataset.dataset_path()));
  absl::StrAppend(&text, Line("Number of Sequences:", 22, absl::StrCat(dataset.num_requests())));
  absl::StrAppend(&text, "\n-- Percentiles statistics ---------------------------------\n\n",
                  "        Input              Output           Seq. Length\n",
                  "-----------------------------------------------------------\n");
  const auto row = [&](const char* name, double (*get)(const Percentiles&)) {
    absl::StrAppendFormat(&text, "%s: %10.4f %18.4f %18.4f\n", name, get(dataset.isl_stats()),
                          get(dataset.osl_stats()), get(dataset.seq_len_stats()));
  };
  row("MIN", [](const Percentiles& p) { return p.minimum(); });
  row("MAX", [](const Percentiles& p) { return p.maximum(); });
  row("AVG", [](const Percentiles& p) { return p.average(); });
  row("P50", [](const Percentiles& p) { return p.p50(); });
  row("P90", [](const Percentiles& p) { return p.p90(); });
  row("P95", [](const Percentiles& p) { return p.p95(); });
  row("P99", [](const Percentiles& p) { return p.p99(); });
  return text + kReportRule;
}

// What trtllm-bench does not print; only when there is something to say.
std::string NotesSection(const RegattaInfo& info) {
  std::string text;
  const auto note = [&text](const std::string& line) { absl::StrAppend(&text, "! ", line, "\n"); };
  if (!info.device_note().empty()) note("device: " + info.device_note());
  if (info.dummy_weights()) note("weights: dummy (seeded random, not a trained model)");
  if (info.dummy_router_skew() > 0) {
    note(absl::StrCat("experts: popularity falls as rank^-", info.dummy_router_skew()));
  }
  if (info.failed_requests() > 0)
    note(absl::StrFormat("failed requests: %d", info.failed_requests()));
  for (const auto& [message, count] : info.errors())
    note(absl::StrFormat("  %d x %s", count, message));
  for (const std::string& warning : info.warnings()) note(warning);
  if (info.has_correct_fraction()) {
    absl::StrAppendFormat(&text, "Exact answers: %.2f%%\n", info.correct_fraction() * 100);
  }
  return text;
}

}  // namespace

std::string RenderTerminalReport(const PointReport& report) {
  return absl::StrCat("\n", BackendSection(report.engine()), RequestSection(report.request_info()),
                      WorldSection(report.world_info()), PerformanceSection(report),
                      DatasetSection(report.dataset()), FiguresSection(report),
                      NotesSection(report.regatta()));
}

}  // namespace regatta
