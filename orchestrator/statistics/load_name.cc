// Words for loads; see load_name.h.
#include "orchestrator/statistics/load_name.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

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

bool KnowsLoad(const RegattaInfo& info) {
  return info.concurrency() > 0 || info.load().request_rate() > 0 || !info.load().arrival().empty();
}

std::string ArrivalOf(const RegattaInfo& info) {
  const std::string& arrival = info.load().arrival();
  if (info.load().request_rate() > 0 || (!arrival.empty() && arrival != kClosedLoop)) {
    return arrival;
  }
  return info.concurrency() > 0 ? kClosedLoop : kBurst;
}

bool IsClosedLoop(const RegattaInfo& info) {
  return info.load().request_rate() <= 0 && ArrivalOf(info) == kClosedLoop;
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

std::optional<LoadKey> LoadNamed(absl::string_view name) {
  LoadKey load;
  bool figures = true;
  for (absl::string_view part : absl::StrSplit(name, ", ")) {
    const bool limit =
        absl::ConsumePrefix(&part, "concurrency ") || absl::ConsumePrefix(&part, "at most ");
    const absl::string_view figure = part.substr(0, part.find(' '));
    if (limit) figures &= absl::SimpleAtoi(figure, &load.concurrency);
    if (part == "trace replay") load.replay_speedup = 1;
    if (absl::EndsWith(part, " req/s")) figures &= absl::SimpleAtod(figure, &load.request_rate);
    if (!absl::EndsWith(part, " times as fast")) continue;
    figures &= absl::SimpleAtod(figure, &load.replay_speedup);
  }
  figures &= std::isfinite(load.request_rate) && std::isfinite(load.replay_speedup);
  return figures && LoadName(load) == name ? std::optional(load) : std::nullopt;
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
