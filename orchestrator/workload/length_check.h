// Whether every request of a data set fits into what a server takes, before any is sent.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {

// The longest sequence, prompt and output together.
struct LengthLimit {
  uint32_t tokens = 0;  // 0 = not known: everything passes
  std::string source;   // whose limit it is: "the context of regatta-dense"
  std::string remedy;   // what raises it: "raise --max-seq-len"; empty = nothing does
};

// INVALID_ARGUMENT names the first line whose prompt and output (of a session: of all its turns)
// are over the limit, their lengths, how many such lines there are, and what to do. Prompts that
// are text here count by their outputs alone: only a tokenizer knows more.
absl::Status CheckRequestLengths(const Dataset& dataset, const LengthLimit& limit);

// The same of prompts alone, for a server that does not cut them into chunks: each must fit a step.
absl::Status CheckPromptLengths(const Dataset& dataset, const LengthLimit& limit);

}  // namespace regatta
