// How often the CPU quota of this process's control group was used up (cgroups 1 and 2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace regatta {

// nr_throttled of cpu.stat, summed over the group and its ancestors; absent where no cpu.stat
// counts it (no quota, or none visible). `root` stands before /proc and /sys, for tests.
std::optional<uint64_t> ThrottledPeriods(const std::string& root = "");

}  // namespace regatta
