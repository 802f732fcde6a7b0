// Reading /proc/self/cgroup and cpu.stat; see cgroup_throttling.h.
#include "orchestrator/load/cgroup_throttling.h"

#include <fstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace regatta {
namespace {

// Directory of the CPU controller, and the group's path below it.
struct CpuGroup {
  std::string mount;
  std::string path;
};

// Lines are HIERARCHY:CONTROLLERS:PATH; cgroup 2 has "0::PATH".
std::vector<CpuGroup> CpuGroups(const std::string& root) {
  std::vector<CpuGroup> groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (fields[1].empty()) groups.push_back({root + "/sys/fs/cgroup", fields[2]});
    for (const absl::string_view controller : absl::StrSplit(fields[1], ',')) {
      if (controller == "cpu") groups.push_back({root + "/sys/fs/cgroup/cpu", fields[2]});
    }
  }
  return groups;
}

std::optional<uint64_t> ThrottledIn(const std::string& directory) {
  std::ifstream file(directory + "/cpu.stat");
  for (std::string line; std::getline(file, line);) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    uint64_t value = 0;
    if (words.size() == 2 && words[0] == "nr_throttled" && absl::SimpleAtoi(words[1], &value)) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> ThrottledPeriods(const std::string& root) {
  std::optional<uint64_t> total;
  for (CpuGroup& group : CpuGroups(root)) {
    std::string& path = group.path;
    while (true) {
      if (path == "/") path.clear();
      const std::optional<uint64_t> here = ThrottledIn(group.mount + path);
      if (here.has_value()) total = total.value_or(0) + *here;
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return total;
}

}  // namespace regatta
