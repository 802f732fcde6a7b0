// Span and mean; see offered_load.h.
#include "orchestrator/statistics/offered_load.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

constexpr uint32_t kLeastRounds = 4;  // requests of each user, so that the first wait weighs little
constexpr uint32_t kLeastOffered = 8;
constexpr int kLeastStates = 5;

// Milliseconds of [from, to) that lie in the span.
double Within(const OfferedLoad& span, double from_ms, double to_ms) {
  return std::max(0.0, std::min(to_ms, span.end_ms()) - std::max(from_ms, span.start_ms()));
}

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

// Whether the server told of every request when it began to run it. What was preempted did not run
// all the time.
bool TellRunning(const std::vector<RequestRecord>& requests) {
  return std::all_of(requests.begin(), requests.end(), [](const RequestRecord& r) {
    return r.has_prefill_ms() && r.has_decode_ms() && r.preemptions() == 0;
  });
}

// Of requests in flight; where the server tells them, of those that run.
double FromRecords(const std::vector<RequestRecord>& requests, bool running,
                   const OfferedLoad& offered) {
  double total_ms = 0;
  for (const RequestRecord& r : requests) {
    const double ran_ms = r.prefill_ms() + r.decode_ms();
    const double from_ms =
        running ? std::max(r.sent_ms(), r.last_token_ms() - ran_ms) : r.sent_ms();
    total_ms += Within(offered, from_ms, r.last_token_ms());
  }
  return total_ms / (offered.end_ms() - offered.start_ms());
}

// From the router's states, each of which holds until the next one.
void AverageStates(const PointTimeline& timeline, OfferedLoad& offered) {
  double running = 0, covered_ms = 0;
  int states = 0;
  for (int i = 0; i + 1 < timeline.router_ms_size(); ++i) {
    const double part = Within(offered, timeline.router_ms(i), timeline.router_ms(i + 1));
    running += part * timeline.running(i);
    covered_ms += part;
    states += part > 0;
  }
  if (states >= kLeastStates) {
    offered.set_mean_running(running / covered_ms);
  } else {
    offered.set_too_short(absl::StrFormat("of %.0f ms the router told %d states, %d are needed",
                                          offered.end_ms() - offered.start_ms(), states,
                                          kLeastStates));
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
  const bool told = TellRunning(requests);
  offered.set_by_router(told || timeline.router_ms_size() > 0);
  if (offered.end_ms() <= offered.start_ms()) {
    offered.set_too_short("all requests were sent at once");
  } else if (told || !offered.by_router()) {
    offered.set_mean_running(FromRecords(requests, told, offered));
  } else {
    AverageStates(timeline, offered);
  }
  return offered;
}

void NoteOfferedLoad(const std::vector<RequestRecord>& requests, const PointTimeline& timeline,
                     RegattaInfo& info) {
  if (!IsClosedLoop(info)) return;
  *info.mutable_offered() = FindOfferedLoad(requests, info, timeline);
}

}  // namespace regatta
