// Text and cursor movements; see sweep_screen.h.
#include "orchestrator/terminal/sweep_screen.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/frontier_plot.h"
#include "orchestrator/terminal/progress_line.h"

namespace regatta {
namespace {

constexpr int kBarColumns = 24;
constexpr int kPlotRows = 6;

std::string Bar(const LoadProgress& progress) {
  const uint32_t done = progress.completed + progress.failed;
  const int filled = progress.total > 0 ? kBarColumns * uint64_t{done} / progress.total : 0;
  std::string bar;
  for (int i = 0; i < kBarColumns; ++i) bar += i < filled ? "█" : "░";
  return bar;
}

std::string ProgressText(const SweepSnapshot& snapshot) {
  const LoadProgress& progress = snapshot.progress;
  std::string line = absl::StrFormat("%s: %d/%d done", snapshot.label,
                                     progress.completed + progress.failed, progress.total);
  if (progress.failed > 0) absl::StrAppend(&line, ", ", progress.failed, " failed");
  return absl::StrCat(line, FormatTimeLeft(snapshot.left));
}

// "tok/s      ▁▃█  812.4", as wide as `columns` at most.
std::string SeriesLine(const char* name, const std::vector<double>& values,
                       const std::string& figures, int columns) {
  constexpr int kNameColumns = 11, kLeastColumns = 10;
  const int room = columns - kNameColumns - 2 - static_cast<int>(figures.size());
  return absl::StrFormat("%-*s%s  %s", kNameColumns, name,
                         Sparkline(values, std::max(kLeastColumns, room)), figures);
}

// Empty where no request told yet.
std::string LatencyLine(const char* name, const std::vector<double>& p95_ms,
                        const RecentLatency& now, int columns) {
  if (std::all_of(p95_ms.begin(), p95_ms.end(), [](double ms) { return std::isnan(ms); }))
    return "";
  const std::string figures =
      now.requests > 0 ? absl::StrFormat("%.1f ms (p50 %.1f)", now.p95_ms, now.p50_ms) : "-";
  return SeriesLine(name, p95_ms, figures, columns);
}

std::string LoadLine(const SweepSnapshot& snapshot) {
  std::string line = absl::StrFormat("in flight %d", snapshot.progress.in_flight);
  if (!snapshot.router.has_value()) return line;
  absl::StrAppendFormat(&line, "   running %d   waiting %d   KV cache %.0f%%",
                        snapshot.router->running(), snapshot.router->waiting(),
                        100 * snapshot.router->kv_usage());
  return line;
}

}  // namespace

std::string Sparkline(const std::vector<double>& values, size_t columns) {
  constexpr const char* kLevels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const size_t first = values.size() > columns ? values.size() - columns : 0;
  double highest = 0;
  for (size_t i = first; i < values.size(); ++i) highest = std::fmax(highest, values[i]);
  std::string line;
  for (size_t i = first; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      line += " ";
      continue;
    }
    line += kLevels[highest > 0 ? std::clamp(static_cast<int>(8 * values[i] / highest), 0, 7) : 0];
  }
  return line;
}

std::vector<std::string> RenderSweepScreen(const SweepSnapshot& snapshot, int columns) {
  const LoadProgress& now = snapshot.progress;
  std::vector<std::string> lines = {ProgressText(snapshot),
                                    absl::StrCat(Bar(now), "  ", LoadLine(snapshot)),
                                    SeriesLine("tok/s", snapshot.tokens_per_s,
                                               absl::StrFormat("%.1f", now.tokens_per_s), columns)};
  for (std::string line : {LatencyLine("TTFT p95", snapshot.ttft_p95_ms, now.ttft, columns),
                           LatencyLine("TPOT p95", snapshot.tpot_p95_ms, now.tpot, columns)}) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  for (std::string& line :
       RenderFrontierPlot(PlotLinesOf(snapshot.done), columns - 2, kPlotRows, false)) {
    lines.push_back(std::move(line));
  }
  for (std::string& line : lines) line = FitColumns(line, columns);
  return lines;
}

void ScreenRegion::Draw(const std::vector<std::string>& lines) {
  Clear();
  for (const std::string& line : lines) std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
  lines_ = lines.size();
}

void ScreenRegion::Clear() {
  if (lines_ == 0) return;
  std::fprintf(out_, "\x1b[%zuA\r\x1b[J", lines_);
  std::fflush(out_);
  lines_ = 0;
}

}  // namespace regatta
