// summary.md of a run: a table with a row a point, as RenderMarkdown (report/report_files.cc)
// writes it, with any text around it.
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/formats/summary_rows.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

// Cells of a line that begins with a bar; a bar after a backslash belongs to its cell.
std::vector<std::string> CellsOf(absl::string_view line) {
  std::vector<std::string> cells(1);
  for (size_t i = 1; i < line.size() && cells.size() <= kMaxSummaryColumns; ++i) {
    if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '|') {
      cells.back() += line[++i];
    } else if (line[i] != '|') {
      cells.back() += line[i];
    } else if (i + 1 < line.size()) {
      cells.emplace_back();
    }
  }
  for (std::string& cell : cells) absl::StripAsciiWhitespace(&cell);
  return cells;
}

// "|---:|:---|", between the columns' names and the first row.
bool IsRule(absl::string_view line) {
  return line.find_first_not_of("|-: ") == absl::string_view::npos;
}

bool BeginsSummary(absl::string_view line) {
  return absl::ConsumePrefix(&line, "|") &&
         absl::StartsWith(absl::StripLeadingAsciiWhitespace(line), "concurrency ");
}

absl::StatusOr<bool> Split(const TextFile& file, std::vector<Document>& documents) {
  std::optional<SummaryRows> table;
  bool found = false;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (!absl::StartsWith(line, "|")) {
      table.reset();
    } else if (!table.has_value() && BeginsSummary(line)) {
      table.emplace(file.name, documents);
      found = true;
    }
    if (table.has_value() && !IsRule(line)) RETURN_IF_ERROR(table->Add(number, CellsOf(line)));
  }
  return found;
}

std::vector<TextFile> Write(const StoredRun& run) {
  return {{"summary.md", RenderMarkdown(run.sweep)}};
}

constexpr Format kFormat = {"markdown",
                            "summary.md, a table with a row a point",
                            "summary.md",
                            Split,
                            /*recognizes=*/nullptr,
                            ReadSummaryRows,
                            Write};

}  // namespace

const Format& MarkdownFormat() { return kFormat; }

}  // namespace regatta
