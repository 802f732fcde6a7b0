// Directories that hold a results.json; see run_lookup.h.
#include "orchestrator/benchmark/run_lookup.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr char kUsualRoot[] = "results";  // --output unless given

// Names of the runs in `root`, oldest first: they begin with the time.
std::vector<std::string> RunsIn(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unreadable;
    if (fs::exists(entry->path() / "results.json", unreadable)) {
      names.push_back(entry->path().filename());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string RunHint(const std::string& path) {
  fs::path typed = fs::path(path).lexically_normal();
  if (!typed.has_filename()) typed = typed.parent_path();
  const fs::path beside = typed.has_parent_path() ? typed.parent_path() : fs::path(".");
  for (const fs::path& root : {typed, beside, fs::path(kUsualRoot)}) {
    const std::vector<std::string> names = RunsIn(root);
    if (names.empty()) continue;
    const std::string nearest = Nearest(typed.filename().string(), names);
    const bool is_near = !nearest.empty() && root != typed;
    const fs::path run = (root / (is_near ? nearest : names.back())).lexically_normal();
    return absl::StrCat(is_near ? "did you mean '" : "the newest run is '", run.string(), "'",
                        is_near ? "?" : ";", " `ls ", root.lexically_normal().string(),
                        "` lists all ", names.size());
  }
  return absl::StrCat(
      "a run is a directory with a results.json, which `regatta sweep` makes below ", kUsualRoot,
      "/ or its --output");
}

}  // namespace regatta
