// Column widths and padding; see text_table.h.
#include "orchestrator/terminal/text_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace regatta {

std::string TableText(const std::vector<TextRow>& rows) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const TextRow& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const TextRow& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      absl::StrAppendFormat(&out, "%-*s", static_cast<int>(widths[i]) + 2, row[i]);
    }
    absl::StrAppend(&out, row.back(), "\n");
  }
  return out;
}

}  // namespace regatta
