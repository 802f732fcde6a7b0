// Tables of an experiment; see partition_text.h.
#include "orchestrator/report/partition_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/terminal/text_table.h"

namespace regatta {
namespace {

std::string Ratio(double ratio) { return ratio > 0 ? absl::StrFormat("%.2f", ratio) : "-"; }

std::string Indented(const std::string& table) {
  std::string out = "  ";
  for (size_t i = 0; i < table.size(); ++i) {
    out += table[i];
    if (table[i] == '\n' && i + 1 < table.size()) out += "  ";
  }
  return out;
}

// Predicted speed of the first user and throughput of the largest load.
TextRow PriorCells(const PartitionCandidate& candidate) {
  if (candidate.prior().empty()) return {"-", "-"};
  const CandidateSpeed& few = *candidate.prior().begin();
  const CandidateSpeed& many = *candidate.prior().rbegin();
  return {absl::StrFormat("%.1f", few.user_speed_tok_s()),
          absl::StrFormat("%.1f", many.output_throughput_per_gpu_tok_s())};
}

TextRow PriorTitles(const PartitionReport& partition) {
  for (const PartitionCandidate& candidate : partition.candidates()) {
    if (candidate.prior().empty()) continue;
    return {absl::StrCat("PRIOR c=", candidate.prior().begin()->concurrency(), " TOK/S/USER"),
            absl::StrCat("c=", candidate.prior().rbegin()->concurrency(), " TOK/S/GPU")};
  }
  return {"PRIOR TOK/S/USER", "TOK/S/GPU"};
}

std::string WinnersText(const PartitionReport& partition) {
  std::vector<TextRow> rows = {{"TOK/S/USER", "MOST TOK/S/GPU"}};
  for (const WinnerRange& range : partition.winners()) {
    rows.push_back({RangeText(range), WinnerText(range)});
  }
  rows.push_back({absl::StrFormat("beyond %.4g", partition.winners().rbegin()->to_tok_s()),
                  "none was that fast"});
  return absl::StrCat("WHICH LAYOUT WINS AT WHICH SPEED\n", Indented(TableText(rows)));
}

std::string OpenNote(const PartitionReport& partition) {
  std::vector<std::string> speeds;
  for (const SpeedRow& row : partition.speeds()) {
    if (row.open()) speeds.push_back(absl::StrFormat("%g", row.speed_tok_s()));
  }
  if (speeds.empty()) return "";
  return absl::StrCat(
      "  at ", absl::StrJoin(speeds, ", "),
      " tok/s/user, layouts with >= may give more: they were not loaded that far, or the "
      "client slowed them\n");
}

std::string GoesOnText(const RoundResult& result) {
  if (result.measured().empty()) return "failed";
  if (!result.goes_on()) return "dropped";
  return result.client_bound() ? "goes on (the client slowed it)" : "goes on";
}

}  // namespace

std::string ContenderName(const std::string& layout, const std::string& precision) {
  return precision.empty() ? layout : absl::StrCat(layout, " ", precision);
}

std::string FateOf(const PartitionCandidate& candidate) {
  if (candidate.fate().empty()) return "-";
  if (candidate.reason().empty()) return candidate.fate();
  return absl::StrCat(candidate.fate(), ": ", candidate.reason());
}

double MeasuredToPrior(const PartitionCandidate& candidate, const SweepReport& sweep) {
  uint32_t largest = 0;
  double ratio = 0;
  for (const PointReport& point : sweep.points()) {
    const RegattaInfo& info = point.regatta();
    if (info.layout() != candidate.layout() || info.precision() != candidate.precision()) continue;
    if (info.halving_round() > 0 || info.concurrency() <= largest || !HasCompleted(point)) continue;
    for (const CandidateSpeed& prior : candidate.prior()) {
      if (prior.concurrency() != info.concurrency()) continue;
      largest = info.concurrency();
      ratio = GpuThroughput(point) / prior.output_throughput_per_gpu_tok_s();
    }
  }
  return ratio;
}

std::string CandidatesText(const SweepReport& sweep) {
  const PartitionReport& partition = sweep.partition();
  const TextRow titles = PriorTitles(partition);
  std::vector<TextRow> rows = {
      {"#", "CANDIDATE", "IDLE", titles[0], titles[1], "MEASURED/PRIOR", "FATE"}};
  for (const PartitionCandidate& candidate : partition.candidates()) {
    const TextRow prior = PriorCells(candidate);
    rows.push_back({absl::StrCat(rows.size()),
                    ContenderName(candidate.layout(), candidate.precision()),
                    absl::StrCat(candidate.idle_ranks()), prior[0], prior[1],
                    Ratio(MeasuredToPrior(candidate, sweep)), FateOf(candidate)});
  }
  return absl::StrCat(
      "CANDIDATES on ", partition.ranks(), " ranks, best prior first\n", Indented(TableText(rows)),
      "  prior: a roofline with figures of ", partition.prior_device(),
      "; it orders the layouts, no more",
      partition.prior_note().empty() ? "" : absl::StrCat(". ", partition.prior_note()), "\n");
}

std::string RoundText(const PartitionRound& round, double margin) {
  std::vector<TextRow> rows;
  for (const RoundResult& result : round.results()) {
    const bool measured = result.measured_size() > 0;
    rows.push_back({ContenderName(result.layout(), round.precision()),
                    measured ? absl::StrFormat("%.1f %%", result.shortfall() * 100) : "-",
                    GoesOnText(result)});
  }
  return absl::StrFormat(
      "ROUND %d: how far each stays below the best where it comes closest; the worse half goes, "
      "but for those within %g %%\n%s",
      round.round(), margin * 100, Indented(TableText(rows)));
}

std::string SpeedCellText(const SpeedCell& cell) {
  if (cell.kind() == "not reached") return cell.kind();
  return absl::StrFormat("%s%.1f", cell.kind() == "at least" ? ">= " : "",
                         cell.output_throughput_per_gpu_tok_s());
}

std::string RangeText(const WinnerRange& range) {
  if (range.from_tok_s() <= 0) return absl::StrFormat("up to %.4g", range.to_tok_s());
  return absl::StrFormat("%.4g to %.4g", range.from_tok_s(), range.to_tok_s());
}

std::string WinnerText(const WinnerRange& range) {
  return absl::StrCat(ContenderName(range.layout(), range.precision()),
                      range.within_noise() ? " (within noise)" : "",
                      range.open() ? " (others may give more)" : "");
}

std::string EqualSpeedText(const PartitionReport& partition) {
  if (partition.winners().empty()) return "";
  std::vector<TextRow> rows = {{"TOK/S/GPU (USERS) AT"}};
  for (const SpeedRow& row : partition.speeds()) {
    rows[0].push_back(absl::StrFormat("%g tok/s/user", row.speed_tok_s()));
    for (int i = 0; i < row.cells_size(); ++i) {
      const SpeedCell& cell = row.cells(i);
      const size_t line = static_cast<size_t>(i) + 1;
      if (line == rows.size()) rows.push_back({ContenderName(cell.layout(), cell.precision())});
      const bool wins =
          cell.layout() == row.winner_layout() && cell.precision() == row.winner_precision();
      std::string text = SpeedCellText(cell);
      if (cell.kind() != "not reached") {
        absl::StrAppend(&text, " (", cell.users() > 0 ? absl::StrCat(cell.users()) : "?", ")");
      }
      const char* mark = !wins ? "" : row.within_noise() ? " * within noise" : " *";
      rows[line].push_back(absl::StrCat(text, mark));
    }
  }
  std::string table;
  if (partition.speeds_size() > 0) {
    table = absl::StrCat("AT EQUAL SPEED: between measured points by straight lines, * wins\n",
                         Indented(TableText(rows)), OpenNote(partition), "\n");
  }
  absl::StrAppend(&table, WinnersText(partition));
  for (const std::string& note : partition.notes()) absl::StrAppend(&table, "! ", note, "\n");
  return table;
}

}  // namespace regatta
