// See pull_progress.h.
#include "orchestrator/hub/pull_progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace regatta {
namespace {

constexpr absl::Duration kRefreshEvery = absl::Milliseconds(100), kPlainEvery = absl::Seconds(5);
constexpr int kBarCells = 20;

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1'000'000) return absl::StrFormat("%d kB", (bytes + 999) / 1000);
  if (bytes < 1'000'000'000) return absl::StrFormat("%.1f MB", bytes / 1e6);
  return absl::StrFormat("%.1f GB", bytes / 1e9);
}

std::string FormatPull(uint64_t done, uint64_t total, double rate) {
  const double share = total == 0 ? 1 : static_cast<double>(std::min(done, total)) / total;
  const int cells = static_cast<int>(share * kBarCells);
  std::string text = absl::StrFormat(
      "[%s%s] %3d %%  %s of %s", std::string(cells, '#'), std::string(kBarCells - cells, '.'),
      static_cast<int>(share * 100), FormatBytes(done), FormatBytes(total));
  if (rate < 1) return text;
  absl::StrAppend(&text, "  ", FormatBytes(static_cast<uint64_t>(rate)), "/s");
  if (done >= total) return text;
  const auto left = absl::Seconds(static_cast<int64_t>((total - done) / rate) + 1);
  return absl::StrCat(text, "  ETA ", absl::FormatDuration(left));
}

PullProgress::PullProgress(StatusLine& line, uint64_t total, uint64_t present)
    : line_(line),
      total_(total),
      began_(absl::Now()),
      shown_(began_),
      measured_(began_),
      measured_done_(present) {}

void PullProgress::Update(uint64_t done) {
  const absl::Time now = absl::Now();
  const double seconds = absl::ToDoubleSeconds(now - measured_);
  if (seconds >= 1) {
    // Bytes that were thrown away count as none.
    const double rate = done > measured_done_ ? (done - measured_done_) / seconds : 0;
    rate_ = rate_ == 0 ? rate : 0.7 * rate_ + 0.3 * rate;
    measured_ = now;
    measured_done_ = done;
  }
  if (now - shown_ < (line_.on_terminal() ? kRefreshEvery : kPlainEvery)) return;
  line_.Show(FormatPull(done, total_, rate_));
  shown_ = now;
}

}  // namespace regatta
