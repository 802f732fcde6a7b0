// What --a and --b of `regatta compare` say: the flags of a sweep, shared ones with each side's
// own.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/commands/sweep_flags.h"
#include "orchestrator/compare/live_comparison.h"

namespace regatta {

// Adds the flags of a sweep but those that make no sense for two of them.
void AddSharedSweepFlags(CLI::App& command, SweepFlags& flags);

// GivenFlags of `command` that are such.
std::vector<std::string> GivenSweepFlags(const CLI::App& command);

// `shared`: --name=value of the sweep's flags that both have. A side is an address or flags, or an
// address and flags: "grpc://host:9000", "--tp 2 --config fp8.yaml"; its own ones replace shared
// ones. INVALID_ARGUMENT names the side and what is wrong, or loads that differ.
absl::StatusOr<LivePlan> PlanLiveComparison(const std::vector<std::string>& shared,
                                            const std::string& a, const std::string& b);

}  // namespace regatta
