// Making and joining findings; see finding.h.
#include "orchestrator/doctor/finding.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace regatta {

HostFinding MakeFinding(const std::string& level, const std::string& subject,
                        const std::string& what, const std::string& value, const std::string& limit,
                        const std::string& mend) {
  HostFinding finding;
  finding.set_level(level);
  finding.set_subject(subject);
  finding.set_what(what);
  finding.set_value(value);
  finding.set_limit(limit);
  if (level != kOk) finding.set_mend(mend);
  return finding;
}

void GpuFindingList::Add(int gpu, const std::string& level, const std::string& what,
                         const std::string& value, const std::string& limit,
                         const std::string& mend) {
  const bool lowered = level != kOk && !used_.at(gpu);
  HostFinding finding = MakeFinding(lowered ? kNote : level, "", what, value, limit, mend);
  const std::string bytes = finding.SerializeAsString();
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.finding.SerializeAsString() == bytes;
  });
  if (same != entries_.end()) {
    same->gpus.push_back(gpu);
  } else {
    entries_.push_back({{gpu}, std::move(finding)});
  }
}

std::vector<HostFinding> GpuFindingList::Take() {
  std::vector<HostFinding> findings;
  for (Entry& entry : entries_) {
    const std::string ids = absl::StrJoin(entry.gpus, ",");
    entry.finding.set_subject(absl::StrCat("GPU ", ids));
    entry.finding.set_mend(absl::StrReplaceAll(entry.finding.mend(), {{"{gpu}", ids}}));
    findings.push_back(std::move(entry.finding));
  }
  entries_.clear();
  return findings;
}

std::string MemoryText(uint64_t bytes) {
  if (bytes < uint64_t{10} << 30) return absl::StrFormat("%.0f MiB", bytes / std::exp2(20));
  return absl::StrFormat("%.0f GiB", bytes / std::exp2(30));
}

}  // namespace regatta
