// Findings of `regatta doctor`: how rules write them, and how those of alike GPUs become one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

inline constexpr char kOk[] = "ok";
inline constexpr char kNote[] = "note";        // about what ranks do not use
inline constexpr char kWarning[] = "warning";  // figures suffer
inline constexpr char kProblem[] = "problem";  // ranks fail, or results cannot be trusted

// `mend` is the command that would mend it, for a person to judge and type; kept only when `level`
// is not ok.
HostFinding MakeFinding(const std::string& level, const std::string& subject,
                        const std::string& what, const std::string& value, const std::string& limit,
                        const std::string& mend);

// Findings about single GPUs, in the order in which they were first added. Those that agree in all
// but the GPU become one, about all of them.
class GpuFindingList {
 public:
  // `used`, by GPU: what is found at the others is at most a note.
  explicit GpuFindingList(std::vector<bool> used) : used_(std::move(used)) {}

  // `{gpu}` in `mend` becomes the ids of the GPUs, as `nvidia-smi -i` takes them: 0,1,3.
  void Add(int gpu, const std::string& level, const std::string& what, const std::string& value,
           const std::string& limit, const std::string& mend);
  std::vector<HostFinding> Take();

 private:
  struct Entry {
    std::vector<int> gpus;
    HostFinding finding;
  };
  const std::vector<bool> used_;
  std::vector<Entry> entries_;
};

// 1536 MiB, 80 GiB.
std::string MemoryText(uint64_t bytes);

}  // namespace regatta
