// What a client may ask the service to run: a command and flags that a stranger to the
// service's host can be trusted with, and the files that they name.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/orchestrator.pb.h"

namespace CLI {
class Option;
}

namespace regatta {

inline constexpr size_t kMaxInputBytes = size_t{64} << 20;  // of all files of a request together
inline constexpr char kLocalTarget[] = "local";             // a cluster launched by the service

// Flags whose value is a file: clients send it along.
absl::Span<const char* const> FileFlags();

// Whether a flag is of the service's host, which decides it itself: no client may give it.
bool BelongsToHost(const CLI::Option& option);

// The command that is to run: "sweep" where none is named.
std::string CommandOf(const StartRunRequest& request);

// The target that the run measures: its --url, or kLocalTarget. INVALID_ARGUMENT names the flag,
// file or text that is wrong, as the command would where it is the judge, and the limit. Without
// `allow_changes` also where a running router would be changed.
absl::StatusOr<std::string> CheckRequest(const StartRunRequest& request,
                                         bool allow_changes = false);

// Writes the files of a checked request into `input_dir`, which is made. UNAVAILABLE names a path.
absl::Status StoreFiles(const StartRunRequest& request, const std::string& input_dir);

// `flags` with paths on this host: of files stored in `input_dir`, else of files in `data_dir`
// (empty: there is none). INVALID_ARGUMENT names a flag whose file is in neither.
absl::StatusOr<std::vector<std::string>> FlagsWithPaths(absl::Span<const std::string> flags,
                                                        const std::string& input_dir,
                                                        const std::string& data_dir);

}  // namespace regatta
