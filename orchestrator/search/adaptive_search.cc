// Doubling, then bisecting; see adaptive_search.h.
#include "orchestrator/search/adaptive_search.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"

namespace regatta {
namespace {

using Loads = std::vector<MeasuredLoad>;  // ascending

bool MeetsAny(const MeasuredLoad& load) {
  return std::find(load.meets.begin(), load.meets.end(), true) != load.meets.end();
}

const MeasuredLoad* Find(const Loads& loads, uint32_t concurrency) {
  for (const MeasuredLoad& load : loads) {
    if (load.concurrency == concurrency) return &load;
  }
  return nullptr;
}

// Why doubling ends after the loads `doubled`, empty when it goes on. A loss may be a dip: it needs
// a second load that gains nothing. Later measurements are of loads between those, so the answer
// stays.
std::string WhyDoublingEnds(const SearchLimits& limits,
                            const std::vector<const MeasuredLoad*>& doubled) {
  const size_t count = doubled.size();
  if (count < 2 || MeetsAny(*doubled[count - 1])) return "";
  const MeasuredLoad &before = *doubled[count - 2], &last = *doubled[count - 1];
  double best = 0;
  for (size_t i = 0; i + 2 < count; ++i) best = std::max(best, doubled[i]->throughput);
  const bool level =
      std::abs(last.throughput - before.throughput) <= kSaturatedGain * before.throughput;
  const bool fell = std::max(last.throughput, before.throughput) <= best * (1 + kSaturatedGain);
  if (level || (count > 2 && fell)) {
    return absl::StrFormat("throughput is saturated: from %d to %d users it gains less than %g %%",
                           doubled[count - (level ? 2 : 3)]->concurrency, last.concurrency,
                           kSaturatedGain * 100);
  }
  if (limits.whole_frontier || last.meets.empty() || MeetsAny(before)) return "";
  return absl::StrFormat("%d and %d users miss the goal", before.concurrency, last.concurrency);
}

// The next load of the doubling, or why there is none.
NextLoad Double(const SearchLimits& limits, const Loads& loads) {
  std::vector<const MeasuredLoad*> doubled;
  for (uint32_t concurrency = 1;;) {
    const MeasuredLoad* load = Find(loads, concurrency);
    if (load == nullptr) return {concurrency, "doubling"};
    doubled.push_back(load);
    const std::string ends = WhyDoublingEnds(limits, doubled);
    if (!ends.empty()) return {std::nullopt, ends};
    if (concurrency == limits.max_concurrency) {
      return {std::nullopt, absl::StrCat("the largest load allowed is ", concurrency, " users")};
    }
    concurrency = std::min(2 * concurrency, limits.max_concurrency);
  }
}

bool Near(uint32_t low, uint32_t high) { return high - low <= std::max(1.0, kEdgeTolerance * low); }

std::optional<uint32_t> Between(uint32_t low, uint32_t high) {
  if (Near(low, high)) return std::nullopt;
  return low + (high - low) / 2;
}

// Halves the span in which an objective begins to be missed. What meets it only at larger loads is
// noise or a system that is better there: the largest load counts.
NextLoad RefineEdge(const Loads& loads, size_t objective) {
  for (size_t i = loads.size(); i-- > 0;) {
    if (!loads[i].meets[objective]) continue;
    if (i + 1 == loads.size()) return {};
    const uint32_t low = loads[i].concurrency, high = loads[i + 1].concurrency;
    return {Between(low, high), absl::StrFormat("%d users meet the goal, %d do not", low, high)};
  }
  return {};
}

// Below the knee, and above the best load where larger ones lose: the peak may lie between. The
// largest load allowed is no knee: throughput may grow beyond.
NextLoad RefineKnee(const SearchLimits& limits, const Loads& loads) {
  const uint32_t knee = KneeOf(loads);
  if (knee == 0 || knee == limits.max_concurrency) return {};
  const auto best = std::max_element(loads.begin(), loads.end(), [](const auto& a, const auto& b) {
    return a.throughput < b.throughput;
  });
  const auto span = [](uint32_t low, uint32_t high) {
    return NextLoad{Between(low, high),
                    absl::StrFormat("the best throughput lies between %d and %d users", low, high)};
  };
  for (size_t i = 1; i < loads.size(); ++i) {
    if (loads[i].concurrency != knee) continue;
    const NextLoad below = span(loads[i - 1].concurrency, knee);
    if (below.concurrency) return below;
  }
  if (best + 1 == loads.end()) return {};
  if ((best + 1)->throughput >= kKneeThroughput * best->throughput) return {};
  return span(best->concurrency, (best + 1)->concurrency);
}

// From the fastest users to the highest throughput.
std::vector<const MeasuredLoad*> FrontierOf(const Loads& loads) {
  std::vector<const MeasuredLoad*> order;
  for (const MeasuredLoad& load : loads) {
    if (load.throughput > 0 && load.user_speed > 0) order.push_back(&load);
  }
  std::sort(order.begin(), order.end(), [](const MeasuredLoad* a, const MeasuredLoad* b) {
    if (a->user_speed != b->user_speed) return a->user_speed > b->user_speed;
    return a->throughput > b->throughput;
  });
  std::vector<const MeasuredLoad*> frontier;
  for (const MeasuredLoad* load : order) {
    if (frontier.empty() || load->throughput > frontier.back()->throughput) {
      frontier.push_back(load);
    }
  }
  return frontier;
}

// The load in the middle of the widest gap that can be narrowed.
NextLoad RefineFrontier(const Loads& loads) {
  const std::vector<const MeasuredLoad*> frontier = FrontierOf(loads);
  NextLoad widest;
  double width = kFrontierGap;
  for (size_t i = 1; i < frontier.size(); ++i) {
    const MeasuredLoad &a = *frontier[i - 1], &b = *frontier[i];
    const double gap =
        std::hypot(std::log(a.user_speed / b.user_speed), std::log(b.throughput / a.throughput));
    const auto middle =
        static_cast<uint32_t>(std::lround(std::sqrt(1.0 * a.concurrency * b.concurrency)));
    if (gap <= width || Find(loads, middle) != nullptr) continue;
    width = gap;
    widest = {middle, absl::StrFormat("the frontier's widest gap, between %d and %d users",
                                      a.concurrency, b.concurrency)};
  }
  return widest;
}

// The loads at which a promise holds; all where none was asked for.
Loads Wanted(const Loads& loads) {
  Loads wanted;
  for (const MeasuredLoad& load : loads) {
    if (load.meets.empty() || MeetsAny(load)) wanted.push_back(load);
  }
  return wanted;
}

NextLoad Refine(const SearchLimits& limits, const Loads& loads) {
  for (size_t objective = 0; objective < loads[0].meets.size(); ++objective) {
    const NextLoad next = RefineEdge(loads, objective);
    if (next.concurrency) return next;
  }
  if (limits.find_knee) {
    const NextLoad next = RefineKnee(limits, limits.whole_frontier ? loads : Wanted(loads));
    if (next.concurrency) return next;
  }
  return limits.whole_frontier ? RefineFrontier(loads) : NextLoad();
}

}  // namespace

NextLoad ChooseNextLoad(const SearchLimits& limits, absl::Span<const MeasuredLoad> measured) {
  CHECK(limits.max_points > 0 && limits.max_concurrency > 0);
  Loads loads(measured.begin(), measured.end());
  std::sort(loads.begin(), loads.end(), [](const MeasuredLoad& a, const MeasuredLoad& b) {
    return a.concurrency < b.concurrency;
  });
  const bool full = loads.size() >= limits.max_points;
  const NextLoad doubled = Double(limits, loads);
  const NextLoad next = doubled.concurrency ? doubled : Refine(limits, loads);
  if (!next.concurrency) return {std::nullopt, doubled.reason + ", and what lies below is refined"};
  if (!full) return next;
  return {std::nullopt, absl::StrFormat("%d loads are measured, as many as are allowed; next: %d "
                                        "users, %s",
                                        loads.size(), *next.concurrency, next.reason)};
}

uint32_t KneeOf(absl::Span<const MeasuredLoad> measured) {
  double best = 0;
  for (const MeasuredLoad& load : measured) best = std::max(best, load.throughput);
  uint32_t knee = 0;
  for (const MeasuredLoad& load : measured) {
    if (best <= 0 || load.throughput < kKneeThroughput * best) continue;
    if (knee == 0 || load.concurrency < knee) knee = load.concurrency;
  }
  return knee;
}

}  // namespace regatta
