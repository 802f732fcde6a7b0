// What sampling fields are when a request does not give them: generation_config.json of the model,
// as in vLLM, else the OpenAI API's own defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace regatta {

struct GenerationDefaults {
  float temperature = 1;
  float top_p = 1;
  uint32_t top_k = 0;  // 0 = all
  float min_p = 0;
  float repetition_penalty = 1;
};

// From the text of generation_config.json; empty text gives the defaults above. Like vLLM, takes
// the fields whatever `do_sample` says. INVALID_ARGUMENT names field and value.
absl::StatusOr<GenerationDefaults> ParseGenerationDefaults(const std::string& text);

// The same from the file in `model_dir`, which may be missing.
absl::StatusOr<GenerationDefaults> LoadGenerationDefaults(const std::string& model_dir);

}  // namespace regatta
