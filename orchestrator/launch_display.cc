// Formatting and refreshing; see launch_display.h.
#include "orchestrator/launch_display.h"

#include <unistd.h>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace regatta {
namespace {

constexpr absl::Duration kPlainEvery = absl::Seconds(5);
constexpr absl::Duration kRefreshEvery = absl::Milliseconds(100);

}  // namespace

std::string FormatLaunchStage(const std::string& stage, double fraction, absl::Duration elapsed) {
  const std::string percent = fraction > 0 ? absl::StrFormat("%.0f %%", fraction * 100) : "";
  return absl::StrFormat("  %-10s %5s %7.1f s", stage, percent, absl::ToDoubleSeconds(elapsed));
}

LaunchDisplay::LaunchDisplay(std::FILE* out) : out_(out), terminal_(::isatty(::fileno(out)) == 1) {}

LaunchDisplay::~LaunchDisplay() {
  if (open_) std::fprintf(out_, "\r\x1b[K");
  std::fflush(out_);
}

void LaunchDisplay::Update(const std::string& stage, double fraction) {
  const absl::Time now = absl::Now();
  if (stage != stage_) {
    EndStage();
    stage_ = stage;
    stage_began_ = shown_ = now;
  } else if (now - shown_ < (terminal_ ? kRefreshEvery : kPlainEvery)) {
    return;
  }
  if (!terminal_ && now == stage_began_) return;
  const std::string line = FormatLaunchStage(stage, fraction, now - stage_began_);
  std::fprintf(out_, terminal_ ? "\r\x1b[K%s" : "%s\n", line.c_str());
  std::fflush(out_);
  open_ = terminal_;
  shown_ = now;
}

void LaunchDisplay::EndStage() {
  if (stage_.empty()) return;
  const std::string line = FormatLaunchStage(stage_, 1, absl::Now() - stage_began_);
  std::fprintf(out_, open_ ? "\r\x1b[K%s\n" : "%s\n", line.c_str());
  open_ = false;
}

void LaunchDisplay::Finish() {
  EndStage();
  std::fflush(out_);
  stage_.clear();
}

}  // namespace regatta
