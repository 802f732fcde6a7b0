// A sweep on a terminal: a table of its points and the frontier drawn in braille dots.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/report.h"
#include "orchestrator/report/terminal_figures.h"

namespace regatta {
namespace {

constexpr int kPlotRows = 14;
constexpr int kAxisWidth = 10;
constexpr char kBold[] = "\x1b[1m", kYellow[] = "\x1b[33m", kCyan[] = "\x1b[36m",
               kReset[] = "\x1b[0m";

// A canvas of 2x4 dots per character cell (Unicode braille patterns), with a text layer above.
class BrailleCanvas {
 public:
  BrailleCanvas(int columns, int rows)
      : columns_(columns), rows_(rows), dots_(columns * rows, 0), text_(columns * rows) {}

  int width() const { return columns_ * 2; }
  int height() const { return rows_ * 4; }

  void Dot(int x, int y) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    // Bit of each dot of a cell, by column and row (Unicode block U+2800).
    static constexpr int kBits[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
    dots_[y / 4 * columns_ + x / 2] |= kBits[x % 2][y % 4];
  }

  void Line(double x0, double y0, double x1, double y1) {
    const int steps = static_cast<int>(std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1.0}));
    for (int i = 0; i <= steps; ++i) {
      const double t = double(i) / steps;
      Dot(std::lround(x0 + (x1 - x0) * t), std::lround(y0 + (y1 - y0) * t));
    }
  }

  // Puts `mark` (one column wide) over the dots at dot coordinates.
  void Mark(int x, int y, const std::string& mark) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    text_[y / 4 * columns_ + x / 2] = mark;
  }

  // ASCII text from a cell on, where nothing is marked yet.
  void Label(int x, int y, const std::string& label) {
    const int row = std::clamp(y / 4, 0, rows_ - 1);
    const int first = std::clamp(x / 2, 0, std::max(0, columns_ - static_cast<int>(label.size())));
    for (size_t i = 0; i < label.size() && first + static_cast<int>(i) < columns_; ++i) {
      std::string& cell = text_[row * columns_ + first + i];
      if (cell.empty()) cell = label.substr(i, 1);
    }
  }

  std::string Row(int row) const {
    std::string out;
    for (int column = 0; column < columns_; ++column) {
      const int cell = row * columns_ + column;
      if (!text_[cell].empty()) {
        out += text_[cell];
      } else if (dots_[cell] == 0) {
        out += ' ';
      } else {
        out += {'\xE2', static_cast<char>(0xA0 | (dots_[cell] >> 6)),
                static_cast<char>(0x80 | (dots_[cell] & 0x3F))};
      }
    }
    return out;
  }

 private:
  const int columns_, rows_;
  std::vector<int> dots_;
  std::vector<std::string> text_;
};

std::string ConcurrencyText(const PointReport& point) {
  return point.regatta().concurrency() == 0 ? "all" : absl::StrCat(point.regatta().concurrency());
}

// `value` with its unit, "-" for a point without one.
std::string Figure(bool known, double value, int decimals, const char* unit = "") {
  return known ? absl::StrFormat("%.*f%s", decimals, value, unit) : "-";
}

std::string Table(const SweepReport& sweep, const std::vector<bool>& frontier) {
  std::string out =
      absl::StrFormat("%6s %9s %11s %11s %12s %10s %10s %10s %7s\n", "conc", "req/s", "out tok/s",
                      "tok/s/GPU", "tok/s/user", "TTFT p50", "TTFT p95", "TPOT p50", "failed");
  for (int i = 0; i < sweep.points_size(); ++i) {
    const PointReport& point = sweep.points(i);
    const StreamingMetrics& streaming = point.streaming_metrics();
    const Performance& performance = point.performance();
    const bool completed = HasCompleted(point), times = HasTokenTimes(point);
    absl::StrAppendFormat(
        &out, "%6s %9s %11s %11s %12s %10s %10s %10s %7d%s\n", ConcurrencyText(point),
        Figure(completed, performance.request_throughput_req_s(), 2),
        Figure(completed, performance.system_output_throughput_tok_s(), 1),
        Figure(completed, GpuThroughput(point), 1), Figure(completed, UserSpeed(point), 2),
        Figure(times, streaming.ttft_percentiles().p50(), 1, " ms"),
        Figure(times, streaming.ttft_percentiles().p95(), 1, " ms"),
        Figure(times, streaming.tpot_percentiles().p50(), 2, " ms"),
        point.regatta().failed_requests(), frontier[i] ? "  *" : "");
  }
  if (std::none_of(frontier.begin(), frontier.end(), [](bool on) { return on; })) return out;
  return out +
         "       * on the frontier: no other point is faster per user and higher in throughput\n";
}

std::string Plot(const SweepReport& sweep, const std::vector<bool>& frontier, bool color,
                 int width) {
  double max_x = 0, max_y = 0;
  std::vector<int> drawn;
  for (int i = 0; i < sweep.points_size(); ++i) {
    if (!HasCompleted(sweep.points(i))) continue;
    drawn.push_back(i);
    max_x = std::max(max_x, UserSpeed(sweep.points(i)));
    max_y = std::max(max_y, GpuThroughput(sweep.points(i)));
  }
  if (max_x <= 0 || max_y <= 0) return "(no completed points to draw)\n";
  const std::vector<double> x_ticks = NiceTicks(0, max_x * 1.05, 5),
                            y_ticks = NiceTicks(0, max_y * 1.05, 4);
  BrailleCanvas canvas(std::clamp(width - kAxisWidth - 2, 20, 110), kPlotRows);
  const auto px = [&](double x) {
    return int(std::lround(x / x_ticks.back() * (canvas.width() - 1)));
  };
  const auto py = [&](double y) {
    return int(std::lround((1 - y / y_ticks.back()) * (canvas.height() - 1)));
  };

  for (size_t i = 1; i < drawn.size(); ++i) {
    const PointReport &from = sweep.points(drawn[i - 1]), &to = sweep.points(drawn[i]);
    canvas.Line(px(UserSpeed(from)), py(GpuThroughput(from)), px(UserSpeed(to)),
                py(GpuThroughput(to)));
  }
  for (int i : drawn) {
    const int x = px(UserSpeed(sweep.points(i))), y = py(GpuThroughput(sweep.points(i)));
    canvas.Mark(x, y, frontier[i] ? "●" : "○");
    canvas.Label(x + 2, y - 4, ConcurrencyText(sweep.points(i)));
  }

  std::string out = absl::StrFormat("%*s tok/s/GPU by concurrency\n", kAxisWidth, "");
  for (int row = 0; row < kPlotRows; ++row) {
    std::string tick;
    for (double value : y_ticks) {
      if (py(value) / 4 == row) tick = absl::StrFormat("%g", value);
    }
    absl::StrAppendFormat(&out, "%*s %s%s%s%s\n", kAxisWidth, tick, tick.empty() ? "│" : "┤",
                          color ? kCyan : "", canvas.Row(row), color ? kReset : "");
  }
  std::string axis, labels(canvas.width() / 2 + 12, ' ');
  for (int i = 0; i < canvas.width() / 2; ++i) axis += "─";
  for (double value : x_ticks) {
    const std::string text = absl::StrFormat("%g", value);
    labels.replace(px(value) / 2, text.size(), text);
  }
  absl::StrAppendFormat(&out, "%*s └%s\n%*s  %s\n%*s  tok/s/user\n", kAxisWidth, "", axis,
                        kAxisWidth, "", labels, kAxisWidth, "");
  return out;
}

}  // namespace

std::string RenderSweepOverview(const SweepReport& sweep, bool color, int width) {
  const std::vector<bool> frontier = OnFrontier(sweep);
  std::string out = absl::StrCat("\n", color ? kBold : "", "SWEEP  ", SweepSubject(sweep),
                                 color ? kReset : "", "\n");
  const std::string caveat = SweepCaveat(sweep);
  if (!caveat.empty())
    absl::StrAppend(&out, color ? kYellow : "", "! ", caveat, color ? kReset : "", "\n");
  absl::StrAppend(&out, "\n", Table(sweep, frontier), "\n", Plot(sweep, frontier, color, width),
                  SweepFigures(sweep));
  return out;
}

}  // namespace regatta
