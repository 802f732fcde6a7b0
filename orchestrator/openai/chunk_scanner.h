// The usual event of a streamed completion, read in one pass without a document: what lets one core
// take half a million of them per second.
#pragma once

#include "absl/strings/string_view.h"
#include "orchestrator/openai/completion_chunk.h"

namespace regatta {

// True when `json` is an event that the scanner is sure of; `chunk` is then what
// ParseWholeCompletionChunk makes of it. False, with `chunk` unspecified, for everything unusual,
// well-formed or not: errors, bytes beyond ASCII, \u escapes, keys given twice, numbers with
// exponents, deep nesting.
bool ScanCompletionChunk(absl::string_view json, CompletionChunk& chunk);

}  // namespace regatta
