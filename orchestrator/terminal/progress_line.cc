// See progress_line.h.
#include "orchestrator/terminal/progress_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {
namespace {

constexpr double kPlainEverySeconds = 2;

}  // namespace

std::string FormatTimeLeft(const std::optional<TimeLeft>& left) {
  if (!left.has_value()) return "";
  std::string text = absl::StrCat(", ETA ", FormatSeconds(left->load_s));
  if (left->run.has_value())
    absl::StrAppend(&text, ", whole run ", FormatRange(*left->run, left->about));
  return text;
}

std::string FormatProgress(const std::string& label, const LoadProgress& progress,
                           const std::optional<TimeLeft>& left) {
  const uint32_t done = progress.completed + progress.failed;
  std::string text = absl::StrFormat("%s: %d/%d done, %d in flight, %.1f tok/s", label, done,
                                     progress.total, progress.in_flight, progress.tokens_per_s);
  if (progress.ttft.requests > 0) {
    absl::StrAppendFormat(&text, ", TTFT p95 %.1f ms", progress.ttft.p95_ms);
  }
  if (progress.tpot.requests > 0) {
    absl::StrAppendFormat(&text, ", TPOT p95 %.1f ms", progress.tpot.p95_ms);
  }
  if (progress.failed > 0) absl::StrAppend(&text, ", ", progress.failed, " failed");
  return absl::StrCat(text, FormatTimeLeft(left));
}

void ProgressLine::Update(const std::string& label, const LoadProgress& progress,
                          const std::optional<TimeLeft>& left) {
  const bool begun = progress.elapsed_s < last_shown_s_;  // a new point
  const bool due = begun || progress.elapsed_s - last_shown_s_ >= kPlainEverySeconds;
  if (!line_.on_terminal() && !due) return;
  line_.Show(FormatProgress(label, progress, left));
  last_shown_s_ = progress.elapsed_s;
}

}  // namespace regatta
