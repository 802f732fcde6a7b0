// What --model may be: a directory, or a model's name on the Hub.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/hub/model_files.h"

namespace regatta {

inline constexpr char kModelHelp[] =
    "model directory in Hugging Face layout, or org/name on the Hub";

// The directory that `model` means. A name on the Hub means its snapshot in the Hugging Face cache,
// which is pulled first when it lacks any of `parts`. Anything else is returned as it is. Errors as
// Pull's.
absl::StatusOr<std::string> ResolveModel(const std::string& model, ModelParts parts,
                                         const std::atomic<bool>& stop);

}  // namespace regatta
