// Region or line; see run_display.h.
#include "orchestrator/benchmark/run_display.h"

namespace regatta {
namespace {

constexpr size_t kSparklineColumns = 160;

}  // namespace

void RunDisplay::Show(const std::string& label, const LoadProgress& now,
                      const ClusterMonitor& monitor, const SweepReport& done) {
  if (!line_.on_terminal()) return line_.Update(label, now);
  tokens_per_s_.push_back(now.tokens_per_s);
  if (tokens_per_s_.size() > kSparklineColumns) tokens_per_s_.erase(tokens_per_s_.begin());
  // In the last column some terminals begin the next line.
  screen_.Draw(RenderSweepScreen({label, now, monitor.Latest(), tokens_per_s_, done},
                                 TerminalColumns(out_) - 1));
}

void RunDisplay::Hide() {
  line_.Finish();
  screen_.Clear();
  tokens_per_s_.clear();
}

}  // namespace regatta
