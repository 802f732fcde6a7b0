// Region or line; see run_display.h.
#include "orchestrator/benchmark/run_display.h"

#include <cmath>

namespace regatta {
namespace {

constexpr size_t kSparklineColumns = 160;

void Keep(double value, std::vector<double>& latest) {
  latest.push_back(value);
  if (latest.size() > kSparklineColumns) latest.erase(latest.begin());
}

double P95Of(const RecentLatency& latency) {
  return latency.requests > 0 ? latency.p95_ms : std::nan("");
}

}  // namespace

void RunDisplay::Show(const std::string& label, const LoadProgress& now,
                      const ClusterMonitor& monitor, const SweepReport& done,
                      const RunAhead& ahead) {
  const std::optional<TimeLeft> left = EstimateTimeLeft(now, ahead);
  if (!line_.on_terminal()) return line_.Update(label, now, left);
  Keep(now.tokens_per_s, tokens_per_s_);
  Keep(P95Of(now.ttft), ttft_p95_ms_);
  Keep(P95Of(now.tpot), tpot_p95_ms_);
  // In the last column some terminals begin the next line.
  screen_.Draw(RenderSweepScreen(
      {label, now, left, monitor.Latest(), tokens_per_s_, ttft_p95_ms_, tpot_p95_ms_, done},
      TerminalColumns(out_) - 1));
}

void RunDisplay::Hide() {
  line_.Finish();
  screen_.Clear();
  for (std::vector<double>* latest : {&tokens_per_s_, &ttft_p95_ms_, &tpot_p95_ms_}) {
    latest->clear();
  }
}

}  // namespace regatta
