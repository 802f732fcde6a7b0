// Files of /proc and /sys to numbers; see host_facts.h.
#include "orchestrator/doctor/host_facts.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::string result = text.str();
  absl::StripTrailingAsciiWhitespace(&result);
  return result;
}

// The rest of the first line of `path` that begins with `key`, without spaces around.
std::string ValueOf(const std::string& path, absl::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, key)) return std::string(absl::StripAsciiWhitespace(rest));
  }
  return "";
}

std::optional<uint64_t> NumberOf(absl::string_view text) {
  uint64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

// The soft limit of a line of /proc/self/limits; empty when unlimited.
std::optional<uint64_t> LimitOf(const std::string& root, absl::string_view name) {
  const std::string values = ValueOf(root + "/proc/self/limits", name);
  const std::vector<std::string> columns = absl::StrSplit(values, ' ', absl::SkipEmpty());
  return columns.empty() ? std::nullopt : NumberOf(columns[0]);
}

// Directories of this process's control group for `controller` ("" = version 2), innermost first.
std::vector<std::string> GroupDirectories(const std::string& root, const std::string& controller) {
  std::string group = "/";
  for (const absl::string_view line :
       absl::StrSplit(ReadText(root + "/proc/self/cgroup"), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const std::vector<std::string> names = absl::StrSplit(fields[1], ',');
    if (std::find(names.begin(), names.end(), controller) != names.end()) group = fields[2];
  }
  const std::string top =
      absl::StrCat(root, "/sys/fs/cgroup", controller.empty() ? "" : "/", controller);
  std::vector<std::string> directories;
  for (fs::path path = fs::path(group).relative_path(); !path.empty(); path = path.parent_path()) {
    directories.push_back(absl::StrCat(top, "/", path.string()));
  }
  directories.push_back(top);
  return directories;
}

template <typename T>
void Lower(std::optional<T>& limit, const T& other) {
  if (!limit.has_value() || other < *limit) limit = other;
}

// "max 100000" or "200000 100000": microseconds of CPU in every period of as many.
void LowerQuota(absl::string_view quota, absl::string_view period, std::optional<double>& limit) {
  const std::optional<uint64_t> share = NumberOf(quota), of = NumberOf(period);
  if (share.has_value() && of.value_or(0) > 0) Lower(limit, 1.0 * *share / *of);
}

void ReadControlGroup(const std::string& root, HostFacts& facts) {
  // Version 1 writes "no limit" as the largest multiple of a page.
  constexpr uint64_t kNoLimit = uint64_t{1} << 60;
  const auto lower_memory = [&](const std::string& path) {
    const std::optional<uint64_t> bytes = NumberOf(ReadText(path));
    if (bytes.has_value() && *bytes < kNoLimit) Lower(facts.memory_limit, *bytes);
  };
  for (const std::string& directory : GroupDirectories(root, "")) {
    const std::vector<std::string> quota = absl::StrSplit(ReadText(directory + "/cpu.max"), ' ');
    if (quota.size() == 2) LowerQuota(quota[0], quota[1], facts.cpu_quota);
    lower_memory(directory + "/memory.max");
  }
  for (const std::string& directory : GroupDirectories(root, "cpu")) {
    LowerQuota(ReadText(directory + "/cpu.cfs_quota_us"),
               ReadText(directory + "/cpu.cfs_period_us"), facts.cpu_quota);
  }
  for (const std::string& directory : GroupDirectories(root, "memory")) {
    lower_memory(directory + "/memory.limit_in_bytes");
  }
}

void ReadNuma(const std::string& root, HostFacts& facts) {
  const std::string nodes = root + "/sys/devices/system/node";
  for (const int node : ParseCpuList(ReadText(nodes + "/online"))) {
    facts.numa_nodes[node] = ParseCpuList(ReadText(absl::StrCat(nodes, "/node", node, "/cpulist")));
  }
  facts.numa_balancing = NumberOf(ReadText(root + "/proc/sys/kernel/numa_balancing")).value_or(0);
}

}  // namespace

std::vector<int> ParseCpuList(const std::string& text) {
  std::vector<int> cpus;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<std::string> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    int first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) break;
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

HostFacts ReadHostFacts(const std::string& root) {
  HostFacts facts;
  facts.cpus = ParseCpuList(ValueOf(root + "/proc/self/status", "Cpus_allowed_list:"));
  for (const int cpu : facts.cpus) {
    const std::string governor = ReadText(
        absl::StrCat(root, "/sys/devices/system/cpu/cpu", cpu, "/cpufreq/scaling_governor"));
    if (!governor.empty()) ++facts.governors[governor];
  }
  const std::string memory = ValueOf(root + "/proc/meminfo", "MemTotal:");
  facts.memory_bytes = NumberOf(absl::StripSuffix(memory, " kB")).value_or(0) * 1024;
  struct statvfs shared = {};
  if (::statvfs((root + "/dev/shm").c_str(), &shared) == 0) {
    facts.shared_memory = uint64_t{shared.f_blocks} * shared.f_frsize;
  }
  facts.locked_memory = LimitOf(root, "Max locked memory");
  facts.open_files = LimitOf(root, "Max open files");
  ReadControlGroup(root, facts);
  ReadNuma(root, facts);
  return facts;
}

}  // namespace regatta
