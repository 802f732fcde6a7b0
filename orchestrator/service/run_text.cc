// See run_text.h.
#include "orchestrator/service/run_text.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/service/run_store.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/terminal/printable.h"
#include "orchestrator/terminal/text_table.h"

namespace regatta {
namespace {

// Of a figure that may be missing.
std::string Figure(double value) { return value > 0 ? absl::StrFormat("%.1f", value) : "-"; }

std::string Points(const RunSummary& run) {
  const std::string planned = run.points_planned() == 0 ? "?" : absl::StrCat(run.points_planned());
  return absl::StrCat(run.points_done(), "/", planned);
}

}  // namespace

std::string StateName(RunState state) {
  const std::string name = RunState_Name(state);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "RUN_"));
}

std::string NoResultsText(const RunSummary& run) {
  if (!HasEnded(run.state())) return absl::StrCat("run ", run.id(), " has no results yet");
  return absl::StrCat("run ", run.id(), " has no results: it is ", StateName(run.state()));
}

std::string RunsText(const ListRunsResponse& runs) {
  std::vector<TextRow> rows = {{"ID", "COMMAND", "STATE", "POINTS", "FAILED", "TOK/S", "TOK/S/USER",
                                "CREATED", "TARGET", "LABEL"}};
  for (const RunSummary& run : runs.runs()) {
    rows.push_back({run.id(), run.command(), StateName(run.state()), Points(run),
                    absl::StrCat(run.failed_requests()), Figure(run.best_output_tok_s()),
                    Figure(run.best_user_tok_s()), run.created_utc(), PrintableLine(run.target()),
                    PrintableLine(run.label())});
  }
  return TableText(rows);
}

std::string PointText(const PointReport& point) {
  const RegattaInfo& info = point.regatta();
  return absl::StrCat(
      LoadName(LoadOf(info)), ": ", Figure(point.performance().system_output_throughput_tok_s()),
      " tok/s, ", Figure(UserSpeed(point)), " tok/s per user",
      SpeedIsWithContext(point) ? " (output tokens / latency)" : "", ", ", HeadlineTtftName(point),
      " p95 ", Figure(HeadlineTtft(point).p95()), " ms, ", point.request_info().num_requests(),
      " requests, ", point.regatta().failed_requests(), " failed");
}

std::string RunText(const RunSummary& run, const std::string& service_words) {
  std::string text = absl::StrCat(
      "run ", run.id(), " (", run.command(), ") ", StateName(run.state()), ": ", Points(run),
      " points, ", run.completed_requests(), " requests, ", run.failed_requests(), " failed");
  if (run.restarts() > 0) absl::StrAppend(&text, ", taken up again ", run.restarts(), " times");
  if (!run.error().empty()) absl::StrAppend(&text, "\n  ", PrintableLine(run.error()));
  if (HasEnded(run.state()) && run.points_done() > 0) {
    absl::StrAppend(&text, "\n  highest output: ", Figure(run.best_output_tok_s()),
                    " tok/s; fastest for a user: ", Figure(run.best_user_tok_s()),
                    " tok/s; `regatta fetch ", run.id(), service_words, "` brings the report");
  }
  return text + "\n";
}

}  // namespace regatta
