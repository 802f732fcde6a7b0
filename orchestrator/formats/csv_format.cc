// summary.csv of a run: a row a point, as RenderCsv (report/report_files.cc) writes them.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/formats/summary_rows.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

// Cells of a line: commas between quotation marks belong to theirs, two such marks there are one.
std::vector<std::string> CellsOf(absl::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size() && cells.size() <= kMaxSummaryColumns; ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

absl::StatusOr<bool> Split(const TextFile& file, std::vector<Document>& documents) {
  if (!absl::StartsWith(file.text, "concurrency,")) return false;
  SummaryRows rows(file.name, documents);
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++number;
    if (!line.empty()) RETURN_IF_ERROR(rows.Add(number, CellsOf(line)));
  }
  return true;
}

std::vector<TextFile> Write(const StoredRun& run) {
  return {{"summary.csv", RenderCsv(run.sweep)}};
}

constexpr Format kFormat = {"csv", "summary.csv, a row a point", "summary.csv",
                            Split, /*recognizes=*/nullptr,       ReadSummaryRows,
                            Write};

}  // namespace

const Format& CsvFormat() { return kFormat; }

}  // namespace regatta
