// Tables of an experiment; see partition_section.h.
#include "orchestrator/report/partition_section.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/html_sections.h"
#include "orchestrator/report/partition_text.h"
#include "orchestrator/report/svg_chart.h"

namespace regatta {
namespace {

constexpr char kTable[] = "<div class=\"scroll\"><table><thead><tr>";

std::string NameTitle(const char* text) {
  return absl::StrCat("<th class=\"name\">", text, "</th>");
}

std::string WinnersTable(const PartitionReport& partition) {
  std::string out = absl::StrCat(kTable, NameTitle("tok/s per user"),
                                 NameTitle("Most tok/s per GPU"), "</tr></thead><tbody>\n");
  for (const WinnerRange& range : partition.winners()) {
    absl::StrAppend(&out, "<tr>", NameCell(RangeText(range)), NameCell(WinnerText(range)),
                    "</tr>\n");
  }
  return out + "</tbody></table></div>\n";
}

std::string CellHtml(const SpeedRow& row, const SpeedCell& cell) {
  const bool wins =
      cell.layout() == row.winner_layout() && cell.precision() == row.winner_precision();
  const std::string users =
      cell.kind() == "not reached"
          ? ""
          : absl::StrFormat(" <span class=\"soft\">%s users%s</span>",
                            cell.users() > 0 ? absl::StrCat(cell.users()) : "?",
                            wins && row.within_noise() ? ", within noise" : "");
  return absl::StrCat(wins ? "<td class=\"on\" title=\"the most at this speed\">" : "<td>",
                      EscapeXml(SpeedCellText(cell)), users, "</td>");
}

// A row for each layout, a column for each speed.
std::string EqualSpeedTable(const PartitionReport& partition) {
  if (partition.speeds().empty() || partition.speeds(0).cells().empty()) return "";
  std::string out = absl::StrCat(kTable, NameTitle("tok/s per GPU at"));
  for (const SpeedRow& row : partition.speeds()) {
    absl::StrAppendFormat(&out, "<th>%g tok/s per user</th>", row.speed_tok_s());
  }
  out += "</tr></thead><tbody>\n";
  for (int i = 0; i < partition.speeds(0).cells_size(); ++i) {
    const SpeedCell& first = partition.speeds(0).cells(i);
    absl::StrAppend(&out, "<tr>", NameCell(ContenderName(first.layout(), first.precision())));
    for (const SpeedRow& row : partition.speeds()) {
      out += i < row.cells_size() ? CellHtml(row, row.cells(i)) : "<td></td>";
    }
    out += "</tr>\n";
  }
  return out +
         "</tbody></table></div>\n<p class=\"soft\">Green: the most at this speed. Between "
         "measured "
         "points by straight lines, beyond them nothing; &ge; where more load would give "
         "more.</p>\n";
}

std::string NotesHtml(const PartitionReport& partition) {
  std::string out;
  for (const std::string& note : partition.notes()) {
    absl::StrAppend(&out, "<p class=\"soft\">", EscapeXml(note), "</p>\n");
  }
  return out;
}

std::string CandidatesTable(const SweepReport& sweep) {
  const PartitionReport& partition = sweep.partition();
  std::string out = absl::StrCat(
      "<details class=\"candidates\"><summary>All candidates and what became of them</summary>",
      kTable, NameTitle("Candidate"), "<th>Idle ranks</th><th>Measured / prior</th>",
      NameTitle("Fate"), "</tr></thead><tbody>\n");
  for (const PartitionCandidate& candidate : partition.candidates()) {
    const double ratio = MeasuredToPrior(candidate, sweep);
    absl::StrAppend(
        &out, "<tr>", NameCell(ContenderName(candidate.layout(), candidate.precision())), "<td>",
        candidate.idle_ranks(), "</td><td>", ratio > 0 ? absl::StrFormat("%.2f", ratio) : "-",
        "</td>", NameCell(FateOf(candidate)), "</tr>\n");
  }
  return absl::StrCat(
      out, "</tbody></table></div>\n<p class=\"soft\">In the order of a roofline with figures of ",
      EscapeXml(partition.prior_device()),
      ", which decides nothing else. What was dropped was measured with "
      "fewer requests.</p></details>\n");
}

}  // namespace

std::string PartitionsHtml(absl::Span<const ReportedRun> runs) {
  std::string out;
  for (size_t r = 0; r < runs.size(); ++r) {
    const SweepReport& sweep = runs[r].sweep;
    if (!sweep.has_partition()) continue;
    absl::StrAppend(&out, "<section class=\"partition\"><h2>Which layout wins at which speed",
                    runs.size() > 1 ? absl::StrCat(", run ", RunLetter(r)) : "", "</h2>\n",
                    WinnersTable(sweep.partition()), "<p></p>", EqualSpeedTable(sweep.partition()),
                    NotesHtml(sweep.partition()), CandidatesTable(sweep), "</section>\n");
  }
  return out;
}

}  // namespace regatta
