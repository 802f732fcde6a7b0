// Findings for people and for programs; see doctor.h.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "orchestrator/doctor/doctor.h"
#include "orchestrator/doctor/finding.h"
#include "orchestrator/terminal/text_table.h"

namespace regatta {
namespace {

int64_t CountOf(const std::vector<HostFinding>& findings, const char* level) {
  return std::count_if(findings.begin(), findings.end(),
                       [&](const HostFinding& finding) { return finding.level() == level; });
}

std::string Counted(int64_t count, const char* what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

}  // namespace

std::string DoctorText(const std::vector<HostFinding>& findings) {
  std::vector<TextRow> rows = {{"LEVEL", "OF", "WHAT", "VALUE", "LIMIT"}};
  for (const HostFinding& finding : findings) {
    rows.push_back(
        {finding.level(), finding.subject(), finding.what(), finding.value(), finding.limit()});
  }
  const std::vector<std::string> lines = absl::StrSplit(TableText(rows), '\n');
  std::string out = lines[0] + "\n";
  for (size_t i = 0; i < findings.size(); ++i) {
    absl::StrAppend(&out, absl::StripTrailingAsciiWhitespace(lines[i + 1]), "\n");
    const std::string& mend = findings[i].mend();
    if (!mend.empty()) absl::StrAppend(&out, "         -> ", mend, "\n");
  }
  return absl::StrCat(out, Counted(CountOf(findings, kProblem), "problem"), ", ",
                      Counted(CountOf(findings, kWarning), "warning"), "\n");
}

std::string DoctorJson(const std::vector<HostFinding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const HostFinding& finding : findings) {
    list.push_back({{"level", finding.level()},
                    {"subject", finding.subject()},
                    {"what", finding.what()},
                    {"value", finding.value()},
                    {"limit", finding.limit()},
                    {"mend", finding.mend()}});
  }
  const nlohmann::ordered_json report = {{"findings", std::move(list)},
                                         {"warnings", CountOf(findings, kWarning)},
                                         {"problems", CountOf(findings, kProblem)}};
  return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string FindingLine(const HostFinding& finding) {
  return absl::StrCat(finding.subject(), ": ", finding.what(), " is ", finding.value(),
                      finding.limit().empty() ? "" : absl::StrCat(" (", finding.limit(), ")"));
}

}  // namespace regatta
