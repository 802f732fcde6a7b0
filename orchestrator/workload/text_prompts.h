// Prompts from a text file (one per line) or JSON Lines, as `regatta prepare-dataset text` turns
// them into a data set.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {

class Tokenizer;

struct TextPromptOptions {
  std::string model_name;      // picks from prompts given per model: {"prompt": {"a": "...", ...}}
  uint32_t num_requests = 0;   // 0 = all
  uint32_t output_tokens = 0;  // of every request; 0 = the line's own, the answer's length, or 128
  uint32_t max_input_tokens = 0;  // longer prompts are left out; 0 = none (needs a tokenizer)
};

// Lines that begin with '{' are JSON: "prompt" (text, or text by model name), optional
// "output_tokens", "answer", "task_id" or "id". Other lines are prompts as they are. `tokenizer`
// may be null; with it, an answer's output_tokens is its token count plus the end token.
// INVALID_ARGUMENT names path and line.
absl::StatusOr<std::vector<DatasetEntry>> ReadTextPrompts(std::istream& in, const std::string& path,
                                                          const TextPromptOptions& options,
                                                          const Tokenizer* tokenizer);

}  // namespace regatta
