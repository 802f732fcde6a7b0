// The pipeline parts of tokenizer.json: normaliser, pre-tokeniser, post-processor, decoder. For .cc
// files only.
#pragma once

#include "absl/status/status.h"
#include "common/text/json_node.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {

// Reads the parts of the document `root` into `spec`. UNIMPLEMENTED names a component type that is
// not supported.
absl::Status ParseComponents(const JsonNode& root, TokenizerSpec& spec);

}  // namespace regatta
