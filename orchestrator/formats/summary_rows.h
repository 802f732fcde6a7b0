// Rows of summary.csv and summary.md, which have the columns of SummaryColumns (report/report.h).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/formats/format.h"

namespace regatta {

// Most columns of a table; a line with more is not read to its end.
inline constexpr size_t kMaxSummaryColumns = 100;

// Makes documents of rows, objects by column. `file` and `documents` must outlive it.
class SummaryRows {
 public:
  SummaryRows(const std::string& file, std::vector<Document>& documents)
      : file_(file), documents_(documents) {}

  // The first row names the columns. INVALID_ARGUMENT for bytes that are not UTF-8, more or fewer
  // cells than columns, too many columns or rows.
  absl::Status Add(size_t line, const std::vector<std::string>& cells);

 private:
  const std::string& file_;
  std::vector<Document>& documents_;
  std::vector<std::string> columns_;
};

// Points of such documents.
absl::Status ReadSummaryRows(const std::vector<Document>& documents, ImportDraft& draft);

}  // namespace regatta
