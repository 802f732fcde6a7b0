// How many connections this process may have.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace regatta {

// Raises the limit of open files, as far as it may be raised, for `connections` beside what else is
// open. RESOURCE_EXHAUSTED names both numbers when that is not enough.
absl::Status AllowConnections(uint64_t connections);

}  // namespace regatta
