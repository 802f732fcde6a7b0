// Samples into columns; see point_timeline.h.
#include "orchestrator/cluster/point_timeline.h"

#include <cmath>

#include "orchestrator/statistics/quantiles.h"

namespace regatta {
namespace {

// More digits than anybody measures make a file larger, not better.
double Rounded(double value, double parts) { return std::round(value * parts) / parts; }

}  // namespace

void PointTimelineRecorder::AddClient(const LoadProgress& progress) {
  client_.Add(
      {progress.elapsed_s * 1e3, static_cast<double>(progress.output_tokens), progress.in_flight});
}

void PointTimelineRecorder::AddRouter(const ClusterState& state, int64_t received_ns) {
  router_.Add(
      {received_ns, state.kv_usage(), state.output_tokens(), state.running(), state.waiting()});
}

PointTimeline PointTimelineRecorder::Take(int64_t start_ns) {
  PointTimeline timeline;
  for (const ClientSample& sample : client_.Take()) {
    timeline.add_client_ms(Rounded(sample.ms, 1));
    timeline.add_in_flight(sample.in_flight);
    timeline.add_client_tokens(sample.tokens);
  }
  const std::vector<RouterSample> router = router_.Take();
  for (const RouterSample& sample : router) {
    if (sample.time_ns < start_ns) continue;
    timeline.add_router_ms(Rounded((sample.time_ns - start_ns) / 1e6, 1));
    timeline.add_running(sample.running);
    timeline.add_waiting(sample.waiting);
    timeline.add_kv_usage(Rounded(sample.kv_usage, 1e4));
    timeline.add_router_tokens(static_cast<double>(sample.tokens - router.front().tokens));
  }
  return timeline;
}

void AddGapQuantiles(const PointSamples& samples, PointTimeline& timeline) {
  for (double gap_ms : EvenQuantiles({samples.gaps_ms.begin(), samples.gaps_ms.end()}, 101)) {
    timeline.add_itl_quantiles_ms(Rounded(gap_ms, 1e3));
  }
}

}  // namespace regatta
