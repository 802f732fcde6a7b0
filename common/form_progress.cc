// See form_progress.h.
#include "common/form_progress.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace regatta {

std::string FormStageLine(const FormStage& stage) {
  const int percent = static_cast<int>(std::clamp(stage.fraction, 0.0, 1.0) * 100);
  return absl::StrCat(stage.rank, ": ", stage.stage, " ", percent, " %");
}

std::optional<FormStage> ParseFormStageLine(absl::string_view line) {
  const size_t begin = line.find("rank ");
  const size_t end = line.find("): ");
  if (begin == line.npos || end == line.npos || end < begin) return std::nullopt;
  if (!absl::ConsumeSuffix(&line, " %")) return std::nullopt;
  const absl::string_view said = line.substr(end + 3);
  const size_t space = said.find(' ');
  int percent = 0;
  if (space == said.npos || !absl::SimpleAtoi(said.substr(space + 1), &percent)) {
    return std::nullopt;
  }
  return FormStage{std::string(line.substr(begin, end + 1 - begin)),
                   std::string(said.substr(0, space)), percent / 100.0};
}

}  // namespace regatta
