// Tables of figures, changes and verdicts; see comparison_text.h.
#include "orchestrator/compare/comparison_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/compare/compared_metrics.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/terminal/printable.h"
#include "orchestrator/terminal/text_table.h"

namespace regatta {
namespace {

// Of runs whose lengths differ by more, beginning and end weigh differently.
constexpr double kOtherLength = 1.5;

std::string ChangeText(double ratio) { return absl::StrFormat("%+.2f %%", 100 * (ratio - 1)); }

std::string IntervalText(double low, double high, double confidence) {
  if (confidence == 0) return "-";
  return absl::StrCat("[", ChangeText(low), ", ", ChangeText(high), "]");
}

std::string VerdictText(Verdict verdict, bool indicative) {
  const std::string mark = indicative ? " (indicative)" : "";
  switch (verdict) {
    case VERDICT_BETTER:
      return "better" + mark;
    case VERDICT_WORSE:
      return "WORSE" + mark;
    case VERDICT_SAME:
      return "same" + mark;
    case VERDICT_UNCLEAR:
      return "unclear";
    case VERDICT_NO_RATIO:
      return "no ratio: zero in some run";
    default:
      return "not enough data";
  }
}

std::string OutcomeText(const GateFinding& gate) {
  switch (gate.outcome()) {
    case GATE_HOLDS:
      return "HOLDS: failed";
    case GATE_EXCLUDED:
      return "excluded: passed";
    case GATE_OPEN:
      return "neither shown nor excluded";
    default:
      return absl::StrCat("NOT JUDGED: ", gate.unjudged());
  }
}

bool IsMissing(const ComparedMetric* metric, double value) {
  return value == 0 && metric != nullptr && !metric->may_be_zero;
}

std::string FigureText(const ComparedMetric* metric, double value, const std::string& unit) {
  return IsMissing(metric, value) ? "-" : absl::StrFormat("%.4g %s", value, unit);
}

// Of the second against the first.
std::string FigureVerdict(const ComparedFigure& figure, const ComparedMetric* metric,
                          bool indicative) {
  if (IsMissing(metric, figure.a())) return "not in A";
  if (IsMissing(metric, figure.b())) return "not in B";
  return VerdictText(figure.verdict(), indicative);
}

std::vector<TextRow> FigureRows(const ComparedLoad& load, bool all_metrics) {
  std::vector<TextRow> rows = {{"FIGURE", "A", "B", "CHANGE", "95 % INTERVAL", "B IS"}};
  for (const ComparedFigure& figure : load.figures()) {
    const ComparedMetric* metric = FindComparedMetric(figure.metric());
    if (!all_metrics && (metric == nullptr || !metric->headline)) continue;
    rows.push_back({figure.metric(), FigureText(metric, figure.a(), figure.unit()),
                    FigureText(metric, figure.b(), figure.unit()),
                    figure.ratio() > 0 ? ChangeText(figure.ratio()) : "-",
                    IntervalText(figure.low(), figure.high(), figure.confidence()),
                    FigureVerdict(figure, metric, load.indicative())});
  }
  return rows;
}

std::vector<TextRow> GateRows(const Comparison& comparison) {
  std::vector<TextRow> rows = {{"FAIL IF", "LOAD", "CHANGE", "INTERVAL", ""}};
  for (const GateFinding& gate : comparison.gates()) {
    std::string interval = IntervalText(gate.low(), gate.high(), gate.confidence());
    if (gate.confidence() > 0) {
      absl::StrAppendFormat(&interval, " at %.4g %%", 100 * gate.confidence());
    }
    rows.push_back({gate.condition(), gate.load(),
                    gate.ratio() > 0 ? ChangeText(gate.ratio()) : "-", interval,
                    OutcomeText(gate)});
  }
  return rows;
}

// "concurrency 8: 5 interleaved pairs", with what was left out.
std::string LoadLine(const ComparedLoad& load) {
  std::string line = load.load() + ": ";
  if (load.paired()) {
    absl::StrAppend(&line, load.runs_a(), load.runs_a() == 1 ? " pair" : " pairs",
                    " of interleaved runs");
  } else {
    absl::StrAppend(&line, load.runs_a(), " and ", load.runs_b(), " runs, not interleaved");
  }
  if (load.failed_runs_a() + load.failed_runs_b() > 0) {
    absl::StrAppend(&line, "; left out are those in which requests failed: ", load.failed_runs_a(),
                    " of A, ", load.failed_runs_b(), " of B");
  }
  const auto [fewer, more] = std::minmax({load.requests_a(), load.requests_b()});
  if (fewer > 0 && more > kOtherLength * fewer) {
    absl::StrAppendFormat(&line, "; a run sent %.0f requests in A, %.0f in B", load.requests_a(),
                          load.requests_b());
  }
  return line;
}

bool AnyIndicative(const Comparison& comparison) {
  for (const ComparedLoad& load : comparison.loads()) {
    if (load.indicative()) return true;
  }
  return false;
}

bool AllPaired(const Comparison& comparison) {
  for (const ComparedLoad& load : comparison.loads()) {
    if (!load.paired()) return false;
  }
  return true;
}

// Sentences that a reader must know before the tables.
std::vector<std::string> Caveats(const Comparison& comparison) {
  std::vector<std::string> lines;
  for (const ComparedSide* side : {&comparison.a(), &comparison.b()}) {
    if (!side->caveat().empty()) lines.push_back(absl::StrCat(side->name(), ": ", side->caveat()));
  }
  for (const SideDifference& difference : comparison.differences()) {
    if (!difference.spoils()) continue;
    lines.push_back(absl::StrCat("not measured alike: ", difference.what(), " is ", difference.a(),
                                 " in A, ", difference.b(), " in B"));
  }
  for (const std::string& load : comparison.not_compared()) {
    lines.push_back(absl::StrCat("not compared: ", load));
  }
  if (!AllPaired(comparison)) {
    lines.push_back(
        "the runs were not interleaved: what changed on the machine between them is in the change");
  }
  if (AnyIndicative(comparison)) {
    lines.push_back(absl::StrCat("fewer than ", kRunsForIntervals,
                                 " runs: intervals are wide, verdicts indicative"));
  }
  return lines;
}

std::string MeaningOf(const Comparison& comparison) {
  return absl::StrFormat(
      "CHANGE is B / A - 1 of geometric means over runs. B is the same where the interval lies "
      "within %.4g %% of A.\nEach interval holds with 95 %%: of twenty figures one is outside its "
      "own by chance. Gates together hold with 95 %%.\n",
      100 * comparison.margin());
}

std::string SideLine(const ComparedSide& side) {
  return absl::StrCat(side.name(), ": ", side.path(), " (", side.subject(), ", ",
                      side.created_utc(), ")");
}

std::string MarkdownTable(const std::vector<TextRow>& rows) {
  std::string out;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> cells;
    for (const std::string& cell : rows[i]) {
      cells.push_back(absl::StrReplaceAll(cell, {{"|", "\\|"}, {"<", "&lt;"}}));
    }
    absl::StrAppend(&out, "| ", absl::StrJoin(cells, " | "), " |\n");
    if (i > 0) continue;
    out += "|";
    for (size_t column = 0; column < rows[0].size(); ++column) out += "---|";
    out += "\n";
  }
  return out;
}

}  // namespace

std::string ComparisonText(const Comparison& comparison, bool all_metrics) {
  std::string text = absl::StrCat(PrintableLine(SideLine(comparison.a())), "\n",
                                  PrintableLine(SideLine(comparison.b())), "\n");
  for (const SideDifference& difference : comparison.differences()) {
    if (difference.spoils()) continue;
    absl::StrAppend(&text, "  ", PrintableLine(difference.what()), ": ",
                    PrintableLine(difference.a()), " -> ", PrintableLine(difference.b()), "\n");
  }
  for (const std::string& line : Caveats(comparison))
    absl::StrAppend(&text, "! ", PrintableLine(line), "\n");
  for (const ComparedLoad& load : comparison.loads()) {
    absl::StrAppend(&text, "\n", LoadLine(load), "\n", TableText(FigureRows(load, all_metrics)));
  }
  absl::StrAppend(&text, "\n", MeaningOf(comparison));
  if (comparison.gates_size() > 0) absl::StrAppend(&text, "\n", TableText(GateRows(comparison)));
  return text;
}

std::string ComparisonMarkdown(const Comparison& comparison, bool all_metrics) {
  std::string text = absl::StrCat("# Comparison\n\n- ", PrintableLine(SideLine(comparison.a())),
                                  "\n- ", PrintableLine(SideLine(comparison.b())), "\n");
  for (const SideDifference& difference : comparison.differences()) {
    if (difference.spoils()) continue;
    absl::StrAppend(&text, "- ", PrintableLine(difference.what()), ": ",
                    PrintableLine(difference.a()), " → ", PrintableLine(difference.b()), "\n");
  }
  for (const std::string& line : Caveats(comparison)) {
    absl::StrAppend(&text, "- **Warning**: ", PrintableLine(line), "\n");
  }
  for (const ComparedLoad& load : comparison.loads()) {
    absl::StrAppend(&text, "\n## ", LoadLine(load), "\n\n",
                    MarkdownTable(FigureRows(load, all_metrics)));
  }
  absl::StrAppend(&text, "\n", MeaningOf(comparison));
  if (comparison.gates_size() > 0) {
    absl::StrAppend(&text, "\n## Gates\n\n", MarkdownTable(GateRows(comparison)));
  }
  return text;
}

}  // namespace regatta
