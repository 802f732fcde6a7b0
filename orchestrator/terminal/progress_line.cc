// See progress_line.h.
#include "orchestrator/terminal/progress_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/benchmark/sweep.h"

namespace regatta {
namespace {

constexpr double kPlainEverySeconds = 2;

}  // namespace

std::string FormatProgress(const std::string& label, const LoadProgress& progress) {
  const uint32_t done = progress.completed + progress.failed;
  std::string text = absl::StrFormat("%s: %d/%d done, %d in flight, %.1f tok/s", label, done,
                                     progress.total, progress.in_flight, progress.tokens_per_s);
  if (progress.failed > 0) absl::StrAppend(&text, ", ", progress.failed, " failed");
  if (done > 0 && done < progress.total) {
    const double left_s = progress.elapsed_s / done * (progress.total - done);
    absl::StrAppend(&text, ", ETA ", FormatSeconds(left_s));
  }
  return text;
}

void ProgressLine::Update(const std::string& label, const LoadProgress& progress) {
  const bool begun = progress.elapsed_s < last_shown_s_;  // a new point
  const bool due = begun || progress.elapsed_s - last_shown_s_ >= kPlainEverySeconds;
  if (!line_.on_terminal() && !due) return;
  line_.Show(FormatProgress(label, progress));
  last_shown_s_ = progress.elapsed_s;
}

}  // namespace regatta
