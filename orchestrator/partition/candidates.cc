// Enumeration, fit and order of layouts; see candidates.h.
#include "orchestrator/partition/candidates.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/layout.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::Status BadLayout(absl::string_view part, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("--layouts '", part, "': ", problem,
                                                 "; write tp4, tp2-dp2, tp2-pp2 or tp4-ep2"));
}

// tp, pp, ep and dp by name; what is not given is absent.
absl::StatusOr<std::map<std::string, uint32_t>> ParseSizes(absl::string_view part) {
  std::map<std::string, uint32_t> sizes;
  for (absl::string_view field : absl::StrSplit(part, '-')) {
    const std::string name(field.substr(0, 2));
    if (name != "tp" && name != "pp" && name != "ep" && name != "dp") {
      return BadLayout(part, absl::StrCat("'", field, "' begins with none of tp, pp, ep, dp"));
    }
    uint32_t size = 0;
    if (!absl::SimpleAtoi(field.substr(2), &size) || size < 1 || size > kMaxRanks) {
      return BadLayout(part, absl::StrCat("'", field.substr(2), "' is no size in 1..", kMaxRanks));
    }
    if (!sizes.emplace(name, size).second) {
      return BadLayout(part, absl::StrCat(name, " is given twice"));
    }
  }
  return sizes;
}

absl::StatusOr<Layout> ParseLayout(absl::string_view part, uint32_t ranks) {
  ASSIGN_OR_RETURN(auto sizes, ParseSizes(part));
  const auto size = [&](const char* name) { return std::max(1u, sizes[name]); };
  const uint64_t copy = uint64_t{size("tp")} * size("pp");
  if (sizes.count("dp") == 0)
    sizes["dp"] = static_cast<uint32_t>(std::max<uint64_t>(1, ranks / copy));
  const absl::StatusOr<Layout> layout = MakeLayout(size("tp"), size("pp"), size("ep"), size("dp"));
  if (!layout.ok()) return BadLayout(part, layout.status().message());
  if (WorldSize(*layout) > ranks) {
    return BadLayout(part,
                     absl::StrCat("it needs ", WorldSize(*layout), " ranks, the pool has ", ranks));
  }
  return layout;
}

// Those of `copy` ranks for every divisor `copy` of the pool, whether they suit the model or not.
std::vector<Layout> FillingLayouts(const ModelSpec& spec, uint32_t ranks) {
  std::vector<Layout> layouts;
  for (uint32_t tp = 1; tp <= ranks; ++tp) {
    for (uint32_t pp = 1; tp * pp <= ranks; ++pp) {
      if (ranks % (tp * pp) != 0) continue;
      for (uint32_t ep = 1; ep <= tp; ++ep) {
        if (tp % ep != 0 || (ep > 1 && !spec.is_moe())) continue;
        absl::StatusOr<Layout> layout = MakeLayout(tp, pp, ep, ranks / (tp * pp));
        if (layout.ok()) layouts.push_back(*std::move(layout));
      }
    }
  }
  return layouts;
}

// A status message up to the list of other layouts, which the table shows anyway.
std::string FirstReason(const absl::Status& status) {
  const std::vector<absl::string_view> parts = absl::StrSplit(status.message(), "; layouts of ");
  absl::string_view reason = parts[0];
  const size_t colon = reason.find(": ");
  if (parts.size() > 1 && colon != absl::string_view::npos) reason.remove_prefix(colon + 2);
  return std::string(reason);
}

// How many requests of the mean lengths one copy holds; 0 where memory is not known.
absl::StatusOr<double> RequestsThatFit(const CandidateInput& input, const PreciseModel& model,
                                       const Layout& layout) {
  RETURN_IF_ERROR(CheckLayout(model.spec, layout));
  if (input.pool.memory_gib <= 0) return 0.0;
  LimitsInput limits;
  limits.device_memory_gib = input.pool.memory_gib;
  limits.tp = layout.attention_tp();
  limits.pp = layout.pp();
  limits.weight_bytes_per_element = model.weight_bytes;
  limits.kv_bytes_per_element = model.kv_bytes;
  limits.kv_cache_fraction = input.pool.kv_cache_fraction;
  limits.mean_input_length = static_cast<uint32_t>(input.load.input_tokens);
  limits.mean_output_length = static_cast<uint32_t>(input.load.output_tokens);
  ASSIGN_OR_RETURN(const LimitsAdvice advice, AdviseLimits(model.spec, limits));
  return std::min<double>(advice.max_requests, advice.limits.max_batch_size());
}

Candidate MakeCandidate(const CandidateInput& input, const PreciseModel& model,
                        const Precision& precision, const Layout& layout) {
  Candidate candidate = {layout, precision, "", input.pool.ranks - WorldSize(layout), {}};
  const absl::StatusOr<double> fit = RequestsThatFit(input, model, layout);
  if (!fit.ok()) {
    candidate.dropped = FirstReason(fit.status());
    return candidate;
  }
  const DeviceSpeed device = DeviceSpeedOf(input.pool.device, input.pool.ranks);
  PriorLoad load = input.load;
  load.max_running = *fit;
  for (const uint32_t concurrency : input.concurrencies) {
    candidate.prior.push_back(PriorPoint(model, layout, device, load, concurrency));
  }
  return candidate;
}

// Best prior first.
void SortByPrior(std::vector<Candidate>& candidates) {
  std::vector<SpeedFrontier> frontiers;
  for (const Candidate& candidate : candidates) frontiers.emplace_back(candidate.prior);
  const std::vector<double> shortfalls = Shortfalls(frontiers);
  std::vector<std::pair<double, std::string>> keys;
  for (size_t i = 0; i < candidates.size(); ++i) {
    keys.emplace_back(shortfalls[i], LayoutName(candidates[i].layout));
  }
  std::vector<size_t> order(candidates.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  std::vector<Candidate> sorted;
  for (const size_t i : order) sorted.push_back(std::move(candidates[i]));
  candidates = std::move(sorted);
}

}  // namespace

absl::StatusOr<std::vector<Layout>> ParseLayouts(absl::string_view text, uint32_t ranks) {
  std::vector<Layout> layouts;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(part));
    ASSIGN_OR_RETURN(Layout layout, ParseLayout(name, ranks));
    for (const Layout& other : layouts) {
      if (LayoutName(other) == LayoutName(layout)) return BadLayout(name, "it is there twice");
    }
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

absl::StatusOr<std::vector<Candidate>> EnumerateCandidates(const CandidateInput& input) {
  const std::vector<Layout> layouts =
      input.layouts.empty() ? FillingLayouts(input.checkpoint, input.pool.ranks) : input.layouts;
  std::vector<Candidate> all, dropped;
  for (const Precision& precision : input.precisions) {
    ASSIGN_OR_RETURN(const PreciseModel model, InPrecision(input.checkpoint, precision,
                                                           input.dummy_weights, input.pool.on_cpu));
    std::vector<Candidate> tried;
    for (const Layout& layout : layouts) {
      Candidate candidate = MakeCandidate(input, model, precision, layout);
      (candidate.dropped.empty() ? tried : dropped).push_back(std::move(candidate));
    }
    SortByPrior(tried);
    std::move(tried.begin(), tried.end(), std::back_inserter(all));
  }
  std::move(dropped.begin(), dropped.end(), std::back_inserter(all));
  return all;
}

std::string CandidateName(const Candidate& candidate) {
  const std::string& precision = candidate.precision.name;
  return absl::StrCat(LayoutName(candidate.layout), precision.empty() ? "" : " ", precision);
}

}  // namespace regatta
