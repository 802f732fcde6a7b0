// Where the service keeps what: STATE/runs.sqlite, and STATE/runs/ID with a run's input, its log
// and, under out/, the directory that its command leaves behind.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace regatta {

class RunPaths {
 public:
  // Of the run `id` under the service's state directory.
  RunPaths(const std::string& state_dir, const std::string& id)
      : root_(state_dir + "/runs/" + id) {}

  const std::string& root() const { return root_; }
  std::string log() const { return root_ + "/log"; }
  std::string output() const { return root_ + "/out"; }
  std::string input() const { return root_ + "/input"; }
  // The command's own directory, once it has results.
  std::optional<std::string> Results() const;

 private:
  const std::string root_;
};

// Regular files under `dir`, as paths relative to it, in order; links and half-written files are
// left out. NOT_FOUND names the directory.
absl::StatusOr<std::vector<std::string>> FilesUnder(const std::string& dir);

}  // namespace regatta
