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
  // is too short or too long to be typical; applied to the first turn. An answer whose length is
  // set above may be short.
  uint32_t least_tokens = 4;
  uint32_t most_prompt_tokens = 1024;
  uint32_t most_total_tokens = 2048;
};

// Entries without two messages are left out. The first is the prompt and the second its answer,
// whoever they are from; sessions begin with their first human. INVALID_ARGUMENT names the path: no
// JSON list, or nothing is left of it.
absl::StatusOr<std::vector<DatasetEntry>> ReadShareGpt(std::istream& in, const std::string& path,
                                                       const ShareGptOptions& options,
                                                       const Tokenizer& tokenizer);

}  // namespace regatta
