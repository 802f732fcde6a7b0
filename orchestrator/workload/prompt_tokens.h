// What data sets need from a model directory: which ids may stand in a random prompt, and prompts
// as token ids. Owns no data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/workload/dataset.h"

namespace regatta {

class Tokenizer;

// Every id of the model's vocabulary but special, unused and end-of-sequence ones, ascending. Reads
// config.json, and tokenizer.json where there is one. `tokenizer_dir` empty = `model_dir`.
absl::StatusOr<std::vector<uint32_t>> LoadOrdinaryTokens(const std::string& model_dir,
                                                         const std::string& tokenizer_dir);

// Ids of a prompt as a server would make them: special tokens parsed, the begin token added unless
// the text brings it.
std::vector<uint32_t> EncodePrompt(const Tokenizer& tokenizer, const std::string& prompt);

// Replaces the text prompts of `dataset` by ids, so that no load point pays for tokenising.
absl::Status TokenizePrompts(const std::string& model_dir, Dataset& dataset);

}  // namespace regatta
