// Writes that survive the death of the process and of the host: on the disk before they return.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// Appends `text` and syncs; the file's size in bytes from then on. UNAVAILABLE names the path.
absl::StatusOr<uint64_t> AppendDurably(const std::string& path, absl::string_view text);

// Replaces the file at once: a reader, also one after a crash, sees the old text or the new one.
// UNAVAILABLE names the path.
absl::Status ReplaceDurably(const std::string& path, absl::string_view text);

// Cuts the file down to its first `bytes`, which makes an empty one of none. DATA_LOSS when it has
// fewer; UNAVAILABLE names the path.
absl::Status TruncateDurably(const std::string& path, uint64_t bytes);

}  // namespace regatta
