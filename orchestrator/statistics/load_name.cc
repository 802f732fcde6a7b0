// Words for loads; see load_name.h.
#include "orchestrator/statistics/load_name.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

// Neither a rate nor a limit: everything is sent at once.
bool IsBurst(const LoadKey& load) {
  return load.request_rate <= 0 || std::isinf(load.request_rate);
}

// Who waits for a place behind a rate or a trace.
std::string LimitName(const LoadKey& load) {
  return load.concurrency == 0 ? "" : absl::StrCat(", at most ", load.concurrency, " at once");
}

std::string LimitLabel(const LoadKey& load) {
  return load.concurrency == 0 ? "" : absl::StrCat(" c=", load.concurrency);
}

bool IsFaster(const LoadKey& load) { return load.replay_speedup != 1; }

}  // namespace

LoadKey LoadOf(const RegattaInfo& info) {
  LoadKey load{info.load().request_rate(), info.concurrency()};
  if (info.load().arrival() != kTraceReplay) return load;
  const double speedup = info.load().replay_speedup();
  load.replay_speedup = speedup > 0 ? speedup : 1;
  return load;
}

bool HasSchedule(const LoadKey& load) { return load.replay_speedup > 0 || !IsBurst(load); }

std::string LoadName(const LoadKey& load) {
  if (load.replay_speedup > 0) {
    const std::string pace =
        IsFaster(load) ? absl::StrCat(", ", load.replay_speedup, " times as fast") : "";
    return absl::StrCat("trace replay", pace, LimitName(load));
  }
  if (!IsBurst(load)) return absl::StrCat(load.request_rate, " req/s", LimitName(load));
  return load.concurrency == 0 ? "all at once" : absl::StrCat("concurrency ", load.concurrency);
}

std::string LoadLabel(const LoadKey& load) {
  if (load.replay_speedup > 0) {
    const std::string pace = IsFaster(load) ? absl::StrCat(" x", load.replay_speedup) : "";
    return absl::StrCat("trace", pace, LimitLabel(load));
  }
  if (!IsBurst(load)) return absl::StrCat(load.request_rate, "/s", LimitLabel(load));
  return load.concurrency == 0 ? "all" : absl::StrCat("c=", load.concurrency);
}

}  // namespace regatta
