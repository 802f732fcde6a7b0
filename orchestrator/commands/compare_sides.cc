// Words to options of two sweeps; see compare_sides.h.
#include "orchestrator/commands/compare_sides.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

// What a side says, as --name=value.
absl::StatusOr<std::vector<std::string>> OwnFlags(const std::string& name,
                                                  const std::string& text) {
  const bool address = absl::StartsWith(text, "grpc://") || absl::StartsWith(text, "http");
  SweepFlags unused;
  CLI::App parser;
  AddSharedSweepFlags(parser, unused);
  try {
    parser.parse(absl::StrCat(address ? "--url " : "", text));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(name, " '", text, "': ", error.what()));
  }
  return GivenFlags(parser);
}

struct Side {
  LiveSide live;
  std::vector<LoadPoint> points;
};

absl::StatusOr<Side> SideOf(const std::vector<std::string>& shared, const std::string& name,
                            const std::string& text) {
  ASSIGN_OR_RETURN(std::vector<std::string> words, OwnFlags(name, text));
  const size_t own = words.size();
  for (const std::string& flag : shared) {
    const auto replaces = [&](const std::string& other) {
      return NameOfFlag(other) == NameOfFlag(flag);
    };
    if (std::none_of(words.begin(), words.begin() + own, replaces)) words.push_back(flag);
  }
  SweepFlags flags;
  CLI::App parser;
  AddSharedSweepFlags(parser, flags);
  RETURN_IF_ERROR(ParseGivenFlags(words, parser));
  flags.given = GivenFlags(parser);
  Side side;
  ASSIGN_OR_RETURN(side.points, PointsOf(flags));
  side.live = {flags.benchmark, flags.given, parser.config_to_str(/*default_also=*/true)};
  return side;
}

bool AreSame(const std::vector<LoadPoint>& a, const std::vector<LoadPoint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.concurrency == y.concurrency && x.requests == y.requests &&
           x.request_rate == y.request_rate;
  });
}

}  // namespace

void AddSharedSweepFlags(CLI::App& command, SweepFlags& flags) {
  flags.benchmark.repeats = kRunsForIntervals;
  AddSweepFlags(command, flags);
  for (const char* name : {"--max-points", "--max-concurrency", "--adaptive", "--resume",
                           "--report-json", "--markdown"}) {
    command.remove_option(command.get_option(name));
  }
}

std::vector<std::string> GivenSweepFlags(const CLI::App& command) {
  SweepFlags unused;
  CLI::App sweep;
  AddSharedSweepFlags(sweep, unused);
  std::vector<std::string> flags;
  for (const std::string& flag : GivenFlags(command)) {
    if (sweep.get_option_no_throw(NameOfFlag(flag)) != nullptr) flags.push_back(flag);
  }
  return flags;
}

absl::StatusOr<LivePlan> PlanLiveComparison(const std::vector<std::string>& shared,
                                            const std::string& a, const std::string& b) {
  ASSIGN_OR_RETURN(Side side_a, SideOf(shared, "--a", a));
  ASSIGN_OR_RETURN(Side side_b, SideOf(shared, "--b", b));
  if (!AreSame(side_a.points, side_b.points) ||
      side_a.live.options.repeats != side_b.live.options.repeats ||
      side_a.live.options.random_seed != side_b.live.options.random_seed) {
    return absl::InvalidArgumentError(
        "--a and --b have other loads, repeats or seeds: give those flags for both at once");
  }
  LivePlan plan;
  plan.points = std::move(side_a.points);
  plan.output = side_a.live.options.output;
  plan.a = std::move(side_a.live);
  plan.b = std::move(side_b.live);
  return plan;
}

}  // namespace regatta
