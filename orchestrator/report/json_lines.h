// Files of one JSON message a line, as runs leave them behind.
#pragma once

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/report/report.h"

namespace regatta {

// Calls `take(Message)` for each line of the file; not once without a file. A last line that was
// cut off is left out; INVALID_ARGUMENT names the file and the line of any other that is not JSON
// of its message.
template <typename Message, typename Take>
absl::Status ForEachJsonLine(const std::string& path, const Take& take) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty()) continue;
    Message message;
    const absl::Status status = FromJson(line, message);
    if (!status.ok() && file.eof()) return absl::OkStatus();
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", status.message()));
    }
    take(std::move(message));
  }
  return absl::OkStatus();
}

}  // namespace regatta
