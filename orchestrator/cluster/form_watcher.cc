// Reading appended lines; see form_watcher.h.
#include "orchestrator/cluster/form_watcher.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

namespace regatta {
namespace {

// In the order in which every rank goes through them.
constexpr const char* kStages[] = {"connect", "load", "allocate", "tune", "capture"};

size_t OrderOf(const FormStage& stage) {
  return std::find(std::begin(kStages), std::end(kStages), stage.stage) - std::begin(kStages);
}

bool IsBehind(const FormStage& a, const FormStage& b) {
  return std::pair(OrderOf(a), a.fraction) < std::pair(OrderOf(b), b.fraction);
}

}  // namespace

FormWatcher::FormWatcher(std::string log_path) : log_path_(std::move(log_path)) {
  std::error_code error;
  const auto size = std::filesystem::file_size(log_path_, error);
  if (!error) read_ = size;
}

FormStage FormWatcher::FurthestBehind() {
  Read();
  const auto behind =
      std::min_element(by_rank_.begin(), by_rank_.end(),
                       [](const auto& a, const auto& b) { return IsBehind(a.second, b.second); });
  return behind == by_rank_.end() ? FormStage{"", "start", 0} : behind->second;
}

void FormWatcher::Read() {
  std::ifstream file(log_path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(read_));
  for (std::string line; std::getline(file, line) && !file.eof();) {
    read_ += line.size() + 1;
    std::optional<FormStage> stage = ParseFormStageLine(line);
    if (stage.has_value()) by_rank_[stage->rank] = *std::move(stage);
  }
}

}  // namespace regatta
