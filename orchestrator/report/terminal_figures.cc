// Lines of figures; see terminal_figures.h.
#include "orchestrator/report/terminal_figures.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

std::string LatencyRow(const char* name, const Percentiles& p) {
  return absl::StrFormat("%-34s %10.4f %10.4f %10.4f %10.4f\n", name, p.average(), p.p50(), p.p95(),
                         p.p99());
}

std::string Latencies(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  std::string text = absl::StrFormat("%-34s %10s %10s %10s %10s\n", "-- Latencies (ms)", "AVG",
                                     "P50", "P95", "P99");
  const auto add = [&text](bool known, const char* name, const Percentiles& p) {
    if (known) absl::StrAppend(&text, LatencyRow(name, p));
  };
  const bool gaps = info.has_icl_ms();
  add(info.has_ttft_scheduled_ms(), "TTFT from the schedule", info.ttft_scheduled_ms());
  add(true, "Request latency from the schedule", info.latency_scheduled_ms());
  add(gaps, "Inter-token latency [ITL]", info.itl_ms());
  add(gaps, "Inter-chunk latency [ICL]", info.icl_ms());
  add(true, "Latency per output token [NTPOT]", info.ntpot_ms());
  const bool split = info.has_latency_split();
  add(split, "Server: queue", info.queue_ms());
  add(split, "Server: prefill", info.latency_split().prefill_ms());
  add(split, "Server: decode", info.latency_split().decode_ms());
  add(split, "Network: TTFT less the server's", info.latency_split().network_ms());
  if (info.has_asked_input_length() &&
      info.asked_input_length() != point.request_info().avg_input_length()) {
    absl::StrAppendFormat(&text, "Prompt tokens: %.4f by the server's count, %.4f were sent\n",
                          point.request_info().avg_input_length(), info.asked_input_length());
  }
  if (gaps) absl::StrAppendFormat(&text, "Tokens per chunk: %.4f\n", info.tokens_per_message());
  return text;
}

std::string SteadySection(const PointReport& point) {
  const SteadyWindow& window = point.regatta().steady_window();
  if (!window.found()) return absl::StrCat("\nSteady window: none, ", window.why_not(), "\n");
  const double seconds = (window.end_ms() - window.start_ms()) / 1e3;
  std::string text = absl::StrFormat(
      "\n-- Steady window: %.2f s of %.2f s, from %.2f s; %.2f requests in flight\n"
      "%-42s %14s %14s\n",
      seconds, point.performance().total_latency_ms() / 1e3, window.start_ms() / 1e3,
      window.avg_num_concurrent_requests(), "", "whole run", "steady window");
  const auto row = [&text](const char* name, double whole, double steady) {
    absl::StrAppendFormat(&text, "%-42s %14.4f %14.4f\n", name, whole, steady);
  };
  const Performance& performance = point.performance();
  const StreamingMetrics& streaming = point.streaming_metrics();
  row("Total Output Throughput (tokens/sec)", performance.system_output_throughput_tok_s(),
      window.output_throughput_tok_s());
  row("Per GPU Output Throughput (tps/gpu)", performance.output_throughput_per_gpu_tok_s(),
      window.output_throughput_per_gpu_tok_s());
  row("Per User Output Speed, pooled (tps/user)", DecodingSpeed(point),
      window.has_user_speed_tok_s() ? window.user_speed_tok_s()
                                    : window.token_output_speed_tok_s());
  row(IsFromDue(point) ? "Average TTFT from when sent (ms)" : "Average TTFT (ms)",
      streaming.avg_ttft_ms(), window.ttft_ms().average());
  row("Average TPOT (ms)", streaming.avg_tpot_ms(), window.tpot_ms().average());
  row("Requests", point.request_info().num_requests(), window.num_requests());
  if (point.regatta().peak_output_throughput_tok_s() > 0) {
    absl::StrAppendFormat(&text, "%-42s %14.4f\n", "Peak within one second (tokens/sec)",
                          point.regatta().peak_output_throughput_tok_s());
  }
  return text;
}

// Of a closed loop: whether the asked users really ran at once.
std::string OfferedLine(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  const OfferedLoad& offered = info.offered();
  if (!offered.too_short().empty()) {
    return absl::StrCat("Too short to tell how many ran: ", offered.too_short(), "\n");
  }
  return absl::StrFormat("%s of %d: %.2f %s, %.2f over the whole run\n",
                         offered.by_router() ? "Running sequences" : "Requests in flight",
                         info.concurrency(), offered.mean_running(),
                         offered.steady() ? "in the steady window" : "while all users were there",
                         offered.by_router() ? info.mean_running()
                                             : point.request_info().avg_num_concurrent_requests());
}

std::string IntervalLine(const Interval& interval) {
  return absl::StrFormat("%-42s %14.4f [%.4f, %.4f]\n", interval.metric(), interval.mean(),
                         interval.low(), interval.high());
}

std::string Certainty(const RegattaInfo& info) {
  std::string text;
  if (info.intervals_size() > 0) {
    absl::StrAppendFormat(&text, "\n-- %.0f %% intervals within this run (%d batch means)\n",
                          info.intervals(0).confidence() * 100, info.intervals(0).samples());
  }
  for (const Interval& interval : info.intervals()) absl::StrAppend(&text, IntervalLine(interval));
  if (info.tails_size() > 0) absl::StrAppend(&text, "\n-- Tails\n");
  for (const CertifiedTail& tail : info.tails()) {
    const std::string name = absl::StrFormat("%s p%g", tail.metric(), tail.quantile() * 100);
    if (tail.has_bound()) {
      absl::StrAppendFormat(&text, "%-24s %14.4f, at most %.4f with 99 %% confidence\n", name,
                            tail.estimate(), tail.bound());
    } else {
      absl::StrAppendFormat(&text, "%-24s %14.4f, uncertified: %d of %d samples\n", name,
                            tail.estimate(), tail.samples(), tail.samples_needed());
    }
  }
  return text;
}

std::string GoodputSection(const Goodput& goodput) {
  const auto objective = [](std::string* out, const Objective& objective) {
    absl::StrAppendFormat(out, "%s <= %g ms", objective.metric(), objective.limit_ms());
  };
  return absl::StrFormat("\n-- Goodput: %s\n%-42s %14.4f\n%-42s %14.4f\n%-42s %14.4f\n",
                         absl::StrJoin(goodput.objectives(), ", ", objective),
                         "Request Goodput (req/sec)", goodput.request_goodput_req_s(),
                         "Output Goodput (tokens/sec)", goodput.output_goodput_tok_s(),
                         "Good part of issued requests", goodput.good_fraction());
}

std::string EnergySection(const EnergyReport& energy) {
  std::string text = absl::StrFormat("\n-- Energy of the GPUs with ranks: %.1f J in %.2f s (%s)\n",
                                     energy.joules(), energy.seconds(),
                                     energy.energy_counters() ? "counters" : "integrated power");
  const auto add = [&text](const char* name, double value) {
    absl::StrAppendFormat(&text, "%-42s %14.4f\n", name, value);
  };
  add("Mean power (W)", energy.mean_power_w());
  add("Energy per output token (J)", energy.joules_per_output_token());
  add("Output tokens per joule", energy.output_tokens_per_joule());
  add("Output throughput per watt (tok/s/W)", energy.output_tok_s_per_w());
  add("Energy of this host's other GPUs (J)", energy.idle_joules());
  for (const GpuEnergy& gpu : energy.gpus()) {
    if (!gpu.used()) continue;
    absl::StrAppendFormat(&text, "GPU %d: %.0f W, at most %.0f W; SM %.0f MHz, at least %.0f\n",
                          gpu.index(), gpu.mean_power_w(), gpu.max_power_w(),
                          gpu.mean_sm_clock_mhz(), gpu.min_sm_clock_mhz());
  }
  return text;
}

std::string CostSection(const PointReport& point) {
  const CostReport& cost = point.regatta().cost();
  std::string text = absl::StrFormat(
      "\n-- Cost at %g per GPU and hour, %d GPUs\n%-42s %14.4f\n%-42s %14.4f\n",
      cost.gpu_hour_price(), cost.gpus(), "Per million output tokens",
      cost.per_million_output_tokens(), "Per million tokens", cost.per_million_total_tokens());
  if (point.regatta().idle_gpus() > 0) {
    absl::StrAppendFormat(&text, "%-42s %14.4f\n", "Per million output tokens, idle GPUs too",
                          cost.per_million_output_tokens_with_idle());
  }
  return text;
}

// "tp2 fp8 c=4", the load alone where nothing else differs.
std::string LabelOf(const PointRepeats& repeats) {
  std::string label;
  for (const std::string& part : {repeats.layout(), repeats.precision()}) {
    if (!part.empty()) absl::StrAppend(&label, part, " ");
  }
  return label + LoadLabel({repeats.request_rate(), repeats.concurrency()});
}

// `searched`: the loads that count for users are those of a search.
std::string UsersLine(const UsersAtSpeed& users, bool searched) {
  const std::string name = absl::StrFormat("Users at %g tok/s each (p95 TTFT <= %g ms)",
                                           users.speed_tok_s(), users.max_ttft_ms());
  const bool limited = !users.limited_by().empty();
  if (users.users() == 0 && !limited) {
    return name + ": none, an open loop has no users; --concurrency measures a closed one\n";
  }
  return absl::StrCat(name, ": ", users.users(),
                      limited    ? "; " + users.limited_by()
                      : searched ? ", the largest concurrency searched"
                                 : ", the largest concurrency measured",
                      "\n");
}

std::string Intervals(const PointRepeats& repeats) {
  std::string text = absl::StrFormat("\n%s: %d runs, %.0f %% intervals of the mean\n",
                                     LabelOf(repeats), repeats.runs() - repeats.failed_runs(),
                                     repeats.intervals(0).confidence() * 100);
  for (const Interval& interval : repeats.intervals()) {
    absl::StrAppend(&text, IntervalLine(interval));
  }
  return text;
}

}  // namespace

std::string FiguresSection(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  if (!info.has_latency_scheduled_ms() || info.imported()) return "";
  std::string text =
      absl::StrCat("\n", kReportRule, "= MEASUREMENT DETAILS\n", kReportRule, Latencies(point));
  if (info.has_steady_window()) absl::StrAppend(&text, SteadySection(point));
  if (info.has_offered()) absl::StrAppend(&text, OfferedLine(point));
  absl::StrAppend(&text, Certainty(info));
  if (info.has_goodput()) absl::StrAppend(&text, GoodputSection(info.goodput()));
  if (info.has_energy()) absl::StrAppend(&text, EnergySection(info.energy()));
  if (info.has_cost()) absl::StrAppend(&text, CostSection(point));
  if (info.idle_gpus() > 0) {
    absl::StrAppendFormat(&text, "\nIdle GPUs of the pool, in no per-GPU figure: %d\n",
                          info.idle_gpus());
  }
  return text + kReportRule;
}

std::string SweepFigures(const SweepReport& sweep) {
  std::string text;
  bool too_few = false;
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (repeats.intervals_size() > 0) absl::StrAppend(&text, Intervals(repeats));
    // Of an experiment those that were dropped were measured once.
    too_few |= repeats.intervals_size() == 0 && (repeats.runs() > 1 || !sweep.has_partition());
  }
  // A search repeats what it recommends alone.
  too_few &= !sweep.has_search();
  if (too_few) absl::StrAppend(&text, "\nToo few runs of a point for intervals: --repeats 5\n");
  for (const PointRepeats& repeats : sweep.repeats()) {
    if (repeats.failed_runs() == 0) continue;
    absl::StrAppendFormat(&text, "! %s: requests failed in %d of %d runs, which are left out\n",
                          LabelOf(repeats), repeats.failed_runs(), repeats.runs());
  }
  if (sweep.users_at_speed_size() > 0) absl::StrAppend(&text, "\n");
  for (const UsersAtSpeed& users : sweep.users_at_speed()) {
    text += UsersLine(users, sweep.has_search());
  }
  return text;
}

}  // namespace regatta
