// Host memory of the CPU backend.
#pragma once

#include <cstddef>

#include "kernels/tensor.h"

namespace regatta {

// Zeroed, aligned to 256 bytes; pages are not touched until used. An empty Buffer when memory is
// exhausted. CHECK-fails on 0 bytes.
Buffer AllocateZeroed(size_t num_bytes);

}  // namespace regatta
