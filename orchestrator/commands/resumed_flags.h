// The flags of a run that goes on (`--resume DIR`): those that it was begun with.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/results.pb.h"

namespace regatta {

// The flags that `begun` had, with those of `given` in their place that change no figure; none that
// say where it is.
// FAILED_PRECONDITION where the run has no journal, and for a flag that it was not begun with;
// `directory` is the run's, for the message.
absl::StatusOr<std::vector<std::string>> FlagsToGoOn(const SweepReport& begun,
                                                     const std::vector<std::string>& given,
                                                     const std::string& directory);

}  // namespace regatta
