// The report of one load point in trtllm-bench's wording: section order, labels and columns byte
// for byte, so that scrapers of its output work on ours. Source of the layout: the sample run of
// NVIDIA's article.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/terminal_figures.h"
#include "orchestrator/statistics/load_name.h"

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

// "-" for a figure that others have not published.
std::string Figure(const PointReport& point, double figure) {
  return IsKnown(point, figure) ? absl::StrFormat("%.4f", figure) : "-";
}

std::string CountText(const PointReport& point, uint32_t count) {
  return IsKnown(point, count) ? absl::StrCat(count) : "-";
}

// Reports imported from trtllm-bench keep its own name for the version.
const char* VersionLabel(const PointReport& point) {
  if (point.engine().backend() == "pytorch") return "TensorRT-LLM Version:";
  return point.regatta().imported() ? "Version:" : "Regatta Version:";
}

std::string BackendSection(const PointReport& point) {
  const EngineInfo& engine = point.engine();
  std::string text = Header(absl::AsciiStrToUpper(engine.backend()) + " BACKEND");
  absl::StrAppend(&text, Line("Model:", 24, engine.model()));
  absl::StrAppend(&text, Line("Model Path:", 24, OrNone(engine.model_path())));
  absl::StrAppend(&text, Line(VersionLabel(point), 24, engine.version()));
  absl::StrAppend(&text, Line("Dtype:", 24, engine.dtype()));
  absl::StrAppend(&text, Line("KV Cache Dtype:", 24, OrNone(engine.kv_cache_dtype())));
  absl::StrAppend(&text, Line("Quantization:", 24, OrNone(engine.quantization())), "\n");
  return text;
}

std::string RequestSection(const PointReport& point) {
  const RequestInfo& info = point.request_info();
  std::string text = Header("REQUEST DETAILS");
  const auto add = [&](const char* label, double value) {
    absl::StrAppend(&text, Line(label, 32, Figure(point, value)));
  };
  absl::StrAppend(&text, Line("Number of requests:", 32, CountText(point, info.num_requests())));
  add("Number of concurrent requests:", info.avg_num_concurrent_requests());
  add("Average Input Length (tokens):", info.avg_input_length());
  add("Average Output Length (tokens):", info.avg_output_length());
  return text;
}

std::string WorldSection(const PointReport& point) {
  const WorldInfo& world = point.world_info();
  const std::string ep = world.ep_size() > 1 ? absl::StrCat(world.ep_size()) : "None";
  std::string text = Header("WORLD + RUNTIME INFORMATION");
  const auto add = [&](const char* label, bool known, const std::string& value) {
    absl::StrAppend(&text, Line(label, 24, known ? value : "-"));
  };
  const auto known = [&](double value) { return IsKnown(point, value); };
  add("TP Size:", world.tp_size() > 0, absl::StrCat(world.tp_size()));
  add("PP Size:", world.pp_size() > 0, absl::StrCat(world.pp_size()));
  add("EP Size:", world.tp_size() > 0, ep);
  if (world.dp_size() > 1) add("DP Size:", true, absl::StrCat(world.dp_size()));
  add("Max Runtime Batch Size:", world.max_batch_size() > 0, absl::StrCat(world.max_batch_size()));
  add("Max Runtime Tokens:", world.max_num_tokens() > 0, absl::StrCat(world.max_num_tokens()));
  add("Scheduling Policy:", !world.scheduling_policy().empty(), world.scheduling_policy());
  add("KV Memory Percentage:", world.kv_cache_percentage() > 0,
      absl::StrFormat("%.2f%%", world.kv_cache_percentage() * 100));
  add("Issue Rate (req/sec):", known(world.issue_rate()),
      absl::StrFormat("%.4E", world.issue_rate()));
  return text + "\n";
}

std::string Breakdown(const PointReport& point, const std::string& tag, const Percentiles& p,
                      bool percentiles_first) {
  const auto line = [&](const char* name, double value) {
    return absl::StrFormat("[%s] %-7s: %s\n", tag, name, Figure(point, value));
  };
  const std::string extremes = absl::StrCat(
      line("MINIMUM", p.minimum()), line("MAXIMUM", p.maximum()), line("AVERAGE", p.average()));
  const std::string tail = absl::StrCat(line("P50", p.p50()), line("P90", p.p90()),
                                        line("P95", p.p95()), line("P99", p.p99()));
  return percentiles_first ? tail + extremes : extremes + tail;
}

std::string StreamingSection(const PointReport& point) {
  const StreamingMetrics& metrics = point.streaming_metrics();
  std::string text;
  const auto add = [&](const char* label, double value) {
    absl::StrAppend(&text, Line(label, 43, Figure(point, value)));
  };
  add("Average time-to-first-token [TTFT] (ms):", metrics.avg_ttft_ms());
  add("Average time-per-output-token [TPOT] (ms):", metrics.avg_tpot_ms());
  add("Per User Output Speed (tps/user):", metrics.token_output_speed_tok_s());
  absl::StrAppend(&text, "\n-- Per-Request Time-per-Output-Token [TPOT] Breakdown (ms)\n\n",
                  Breakdown(point, "TPOT", metrics.tpot_percentiles(), false));
  absl::StrAppend(&text, "\n-- Per-Request Time-to-First-Token [TTFT] Breakdown (ms)\n\n",
                  Breakdown(point, "TTFT", metrics.ttft_percentiles(), false));
  absl::StrAppend(&text, "\n-- Per-Request Generation Throughput [GTPS] Breakdown (tps/user)\n\n",
                  Breakdown(point, "GTPS", metrics.gen_tps_percentiles(), false));
  return text;
}

std::string PerformanceSection(const PointReport& point) {
  const Performance& perf = point.performance();
  std::string text = Header("PERFORMANCE OVERVIEW");
  const auto add = [&](const char* label, double value) {
    absl::StrAppend(&text, Line(label, 50, Figure(point, value)));
  };
  add("Request Throughput (req/sec):", perf.request_throughput_req_s());
  add("Total Output Throughput (tokens/sec):", perf.system_output_throughput_tok_s());
  add("Total Token Throughput (tokens/sec):", perf.system_total_throughput_tok_s());
  add("Total Latency (ms):", perf.total_latency_ms());
  add("Average request latency (ms):", perf.avg_request_latency_ms());
  add("Per User Output Throughput [w/ ctx] (tps/user):", perf.output_throughput_per_user_tok_s());
  add("Per GPU Output Throughput (tps/gpu):", perf.output_throughput_per_gpu_tok_s());
  if (point.has_streaming_metrics()) absl::StrAppend(&text, StreamingSection(point));
  absl::StrAppend(&text, "\n-- Request Latency Breakdown (ms) -----------------------\n\n",
                  Breakdown(point, "Latency", perf.request_latency_percentiles_ms(), true), "\n");
  return text;
}

std::string DatasetSection(const PointReport& point) {
  const DatasetInfo& dataset = point.dataset();
  std::string text = Header("DATASET DETAILS");
  absl::StrAppend(&text, Line("Dataset Path:", 22, dataset.dataset_path()));
  absl::StrAppend(&text,
                  Line("Number of Sequences:", 22, CountText(point, dataset.num_requests())));
  absl::StrAppend(&text, "\n-- Percentiles statistics ---------------------------------\n\n",
                  "        Input              Output           Seq. Length\n",
                  "-----------------------------------------------------------\n");
  const auto row = [&](const char* name, double (*get)(const Percentiles&)) {
    absl::StrAppendFormat(
        &text, "%s: %10s %18s %18s\n", name, Figure(point, get(dataset.isl_stats())),
        Figure(point, get(dataset.osl_stats())), Figure(point, get(dataset.seq_len_stats())));
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
// The most frequent errors, the others together.
std::vector<std::string> ErrorLines(const RegattaInfo& info) {
  constexpr size_t kShown = 5;
  std::vector<std::pair<uint32_t, std::string>> ranked;
  for (const auto& [message, count] : info.errors()) ranked.emplace_back(count, message);
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::vector<std::string> lines;
  uint32_t others = 0;
  for (const auto& [count, message] : ranked) {
    if (lines.size() < kShown) {
      lines.push_back(absl::StrFormat("  %d x %s", count, message));
    } else {
      others += count;
    }
  }
  if (others > 0) {
    lines.push_back(absl::StrFormat("  %d more, each with its error in requests.jsonl", others));
  }
  return lines;
}

std::string NotesSection(const RegattaInfo& info) {
  std::string text;
  const auto note = [&text](const std::string& line) { absl::StrAppend(&text, "! ", line, "\n"); };
  // trtllm-bench's lines tell users of a closed loop only.
  const bool users = ArrivalOf(info) == kClosedLoop;
  if (KnowsLoad(info) && !users) note("load: " + LoadName(LoadOf(info)));
  if (!info.device_note().empty()) note("device: " + info.device_note());
  if (info.dummy_weights()) note("weights: dummy (seeded random, not a trained model)");
  if (info.deterministic()) note("deterministic: a token's bits are the same in any company");
  if (info.dummy_router_skew() > 0) {
    note(absl::StrCat("experts: popularity falls as rank^-", info.dummy_router_skew()));
  }
  if (info.failed_requests() > 0)
    note(absl::StrFormat("failed requests: %d", info.failed_requests()));
  if (info.cancelled_requests() > 0)
    note(absl::StrFormat("requests cancelled on purpose: %d", info.cancelled_requests()));
  for (const std::string& line : ErrorLines(info)) note(line);
  for (const std::string& warning : info.warnings()) note(warning);
  if (info.has_correct_fraction()) {
    absl::StrAppendFormat(&text, "Exact answers: %.2f%%\n", info.correct_fraction() * 100);
  }
  return text;
}

}  // namespace

std::string RenderTerminalReport(const PointReport& report) {
  const RegattaInfo& info = report.regatta();
  if (!HasCompleted(report) && !info.imported()) {
    return absl::StrFormat("\n%s: no request completed of %d that were sent\n%s",
                           LoadName(LoadOf(info)), info.issued_requests(), NotesSection(info));
  }
  return absl::StrCat("\n", BackendSection(report), RequestSection(report), WorldSection(report),
                      PerformanceSection(report), DatasetSection(report), FiguresSection(report),
                      NotesSection(info));
}

}  // namespace regatta
