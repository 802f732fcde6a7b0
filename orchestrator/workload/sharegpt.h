// ShareGPT-shaped files: a JSON list of {"id", "conversations": [{"from": "human" | "gpt",
// "value"}]}, as prompts or as sessions of several turns.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {

class Tokenizer;

struct ShareGptOptions {
  uint32_t num_requests = 0;   // the first so many conversations that fit; 0 = all
  uint32_t output_tokens = 0;  // of every answer; 0 = as many as the file's answer has
  bool multi_turn = false;     // whole conversations; else the first prompt of each
  // As `vllm bench serve --dataset-name sharegpt` leaves conversations out whose prompt or answer
  // is too short or too long to be typical; applied to the first turn.
  uint32_t least_tokens = 4;
  uint32_t most_prompt_tokens = 1024;
  uint32_t most_total_tokens = 2048;
};

// Conversations that do not begin with a human's prompt and an answer are left out.
// INVALID_ARGUMENT names path and entry.
absl::StatusOr<std::vector<DatasetEntry>> ReadShareGpt(std::istream& in, const std::string& path,
                                                       const ShareGptOptions& options,
                                                       const Tokenizer& tokenizer);

}  // namespace regatta
