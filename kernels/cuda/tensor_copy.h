// Tiles of matrices brought to shared memory by the copy engine of Hopper's multiprocessors (CUDA
// programming guide, "Tensor Memory Access"): one thread asks, no registers are passed.
#pragma once

#include <cuda.h>

#include <optional>

#include "kernels/tensor.h"

namespace regatta {

inline constexpr int kCopyLine = 128;  // bytes of a row that one copy brings

// Whether the driver knows how to describe matrices for it.
bool CanMapTiles();

// Describes copies of kCopyLine bytes of `rows` neighbouring rows, at most 256, of a matrix whose
// rows begin at multiples of 16 bytes. Beyond the matrix they bring zeros. In shared memory 16-byte
// chunk c of the r-th line lies at c ^ (r % 8). None when the driver does not
// take the description.
std::optional<CUtensorMap> MapTiles(const Tensor& matrix, int rows);

}  // namespace regatta
