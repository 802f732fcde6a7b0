// Span and mean; see offered_load.h.
#include "orchestrator/statistics/offered_load.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/server_load.h"

namespace regatta {
namespace {

constexpr uint32_t kLeastRounds = 4;  // requests of each user, so that the first wait weighs little
constexpr uint32_t kLeastOffered = 8;
constexpr int kLeastStates = 5;

void FindSpan(const std::vector<RequestRecord>& requests, const RegattaInfo& info,
              OfferedLoad& offered) {
  const SteadyWindow& window = info.steady_window();
  offered.set_steady(window.found());
  if (window.found()) {
    offered.set_start_ms(window.start_ms());
    offered.set_end_ms(window.end_ms());
    return;
  }
  const auto [first, last] =
      std::minmax_element(requests.begin(), requests.end(),
                          [](const auto& a, const auto& b) { return a.sent_ms() < b.sent_ms(); });
  offered.set_start_ms(first->sent_ms() + info.load().concurrency_ramp_s() * 1e3);
  offered.set_end_ms(last->sent_ms());
}

// From the router's states, where there are enough.
void AverageWatched(const PointTimeline& timeline, const TimeSpan& span, OfferedLoad& offered) {
  const StateMeans means = AverageStates(timeline, span);
  if (means.states >= kLeastStates) {
    offered.set_mean_running(means.running);
  } else {
    offered.set_too_short(absl::StrFormat("of %.0f ms the router told %d states, %d are needed",
                                          span.length_ms(), means.states, kLeastStates));
  }
}

}  // namespace

OfferedLoad FindOfferedLoad(const std::vector<RequestRecord>& requests, const RegattaInfo& info,
                            const PointTimeline& timeline) {
  OfferedLoad offered;
  const uint32_t needed = std::max(kLeastOffered, kLeastRounds * info.concurrency());
  if (!info.steady_window().found() && requests.size() < needed) {
    offered.set_too_short(absl::StrFormat(
        "%d requests were sent, %d are needed (four of each user)", requests.size(), needed));
    return offered;
  }
  FindSpan(requests, info, offered);
  const TimeSpan span = {offered.start_ms(), offered.end_ms()};
  const bool told = TellsEveryRequest(requests);
  offered.set_by_router(told || timeline.router_ms_size() > 0);
  if (span.length_ms() <= 0) {
    offered.set_too_short("all requests were sent at once");
  } else if (told) {
    offered.set_mean_running(MeanRunning(requests, span));
  } else if (offered.by_router()) {
    AverageWatched(timeline, span, offered);
  } else {
    offered.set_mean_running(MeanInFlight(requests, span));
  }
  return offered;
}

void NoteOfferedLoad(const std::vector<RequestRecord>& requests, const PointTimeline& timeline,
                     RegattaInfo& info) {
  NoteServerLoad(requests, timeline, info);
  if (!IsClosedLoop(info)) return;
  *info.mutable_offered() = FindOfferedLoad(requests, info, timeline);
}

}  // namespace regatta
