// Memory that this process may still use, containers' limits included.
#pragma once

#include <cstdint>

namespace regatta {

// Bytes: the smaller of the host's MemAvailable and what is left under the cgroup's limit.
uint64_t AvailableHostMemory();

}  // namespace regatta
