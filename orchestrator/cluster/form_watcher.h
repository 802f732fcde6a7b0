// Follows a router's log while groups form: how far the rank is that is furthest behind.
#pragma once

#include <map>
#include <string>

#include "common/form_progress.h"

namespace regatta {

class FormWatcher {
 public:
  // Reads what is appended to `log_path` from now on; the file need not exist yet.
  explicit FormWatcher(std::string log_path);

  // After the lines that have come since the last call; stage "start" before there is any.
  FormStage FurthestBehind();

 private:
  void Read();

  const std::string log_path_;
  size_t read_ = 0;  // bytes of whole lines
  std::map<std::string, FormStage> by_rank_;
};

}  // namespace regatta
