// How far a rank is in joining its group, as a line of the router's log: written there, read by
// whoever started the router.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace regatta {

struct FormStage {
  std::string rank;     // "rank 0 (127.0.0.1:9001)"
  std::string stage;    // FormProgress.stage of proto/worker.proto: connect, load, ...
  double fraction = 0;  // of this stage, 0..1
};

// "rank 0 (127.0.0.1:9001): load 42 %".
std::string FormStageLine(const FormStage& stage);

// What such a line says, whatever a log puts in front of it; nullopt for any other line.
std::optional<FormStage> ParseFormStageLine(absl::string_view line);

}  // namespace regatta
