// CompletionChunk: what one event of a streamed completion or chat says, or a whole answer of a
// server that does not stream.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/inference.pb.h"

namespace regatta {

struct CompletionChunk {
  std::string text;  // of the first choice, reasoning included
  FinishReason finish = FINISH_REASON_NONE;
  std::optional<Usage> usage;
};

// INVALID_ARGUMENT: not such an event, quoted. An error object is the status that it describes.
absl::StatusOr<CompletionChunk> ParseCompletionChunk(absl::string_view json);

// The same without the scanner of usual events (chunk_scanner.h): slower, and its measure.
absl::StatusOr<CompletionChunk> ParseWholeCompletionChunk(absl::string_view json);

// "length" and the like; empty = still running.
FinishReason FinishOf(absl::string_view reason);

// What an answer of HTTP status `status` other than 200 says, as the status that our own API would
// give. `body` may be an error object in OpenAI's shape, or anything.
absl::Status StatusOfAnswer(unsigned status, absl::string_view body);

}  // namespace regatta
