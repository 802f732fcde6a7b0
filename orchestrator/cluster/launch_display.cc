// Formatting and refreshing; see launch_display.h.
#include "orchestrator/cluster/launch_display.h"

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace regatta {
namespace {

constexpr absl::Duration kPlainEvery = absl::Seconds(5);
constexpr absl::Duration kRefreshEvery = absl::Milliseconds(100);

}  // namespace

std::string FormatLaunchStage(const std::string& stage, double fraction, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  const std::string done = fraction >= 1  ? "done"
                           : fraction > 0 ? absl::StrFormat("%.0f %%", fraction * 100)
                                          : "";
  return absl::StrFormat("  %-10s %5s ", stage, done) +
         (seconds < 1 ? absl::StrFormat("%6.0f ms", seconds * 1e3)
                      : absl::StrFormat("%7.1f s", seconds));
}

void LaunchDisplay::Update(const std::string& stage, double fraction) {
  const absl::Time now = absl::Now();
  const bool begins = stage != stage_;
  if (begins) {
    EndStage();
    stage_ = stage;
    stage_began_ = shown_ = now;
  }
  const bool due = now - shown_ >= (line_.on_terminal() ? kRefreshEvery : kPlainEvery);
  if (!due && !(begins && line_.on_terminal())) return;
  line_.Show(FormatLaunchStage(stage, fraction, now - stage_began_));
  shown_ = now;
}

void LaunchDisplay::EndStage() {
  if (stage_.empty()) return;
  line_.Keep(FormatLaunchStage(stage_, 1, absl::Now() - stage_began_));
}

void LaunchDisplay::Finish() {
  EndStage();
  stage_.clear();
}

}  // namespace regatta
