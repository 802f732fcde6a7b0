// Text and cursor movements; see sweep_screen.h.
#include "orchestrator/terminal/sweep_screen.h"

#include <algorithm>

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
  for (size_t i = first; i < values.size(); ++i) highest = std::max(highest, values[i]);
  std::string line;
  for (size_t i = first; i < values.size(); ++i) {
    line += kLevels[highest > 0 ? std::clamp(static_cast<int>(8 * values[i] / highest), 0, 7) : 0];
  }
  return line;
}

std::vector<std::string> RenderSweepScreen(const SweepSnapshot& snapshot, int columns) {
  std::vector<std::string> lines = {
      FormatProgress(snapshot.label, snapshot.progress),
      absl::StrCat(Bar(snapshot.progress), "  ", LoadLine(snapshot)),
      absl::StrCat("tok/s ", Sparkline(snapshot.tokens_per_s, std::max(10, columns - 8)))};
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
