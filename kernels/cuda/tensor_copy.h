// Tiles of matrices brought to shared memory by the copy engine of Hopper's multiprocessors (CUDA
// programming guide, "Tensor Memory Access"): one thread asks, no registers are passed.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <optional>

#include "kernels/tensor.h"

namespace regatta {

inline constexpr int kCopyLine = 128;  // bytes of a row that lie together in shared memory

// What one copy brings: `lines` neighbouring lines of `rows` neighbouring rows of each of `parts`
// equal parts of a matrix, line by line, of each line part by part.
struct CopyBox {
  int rows, parts, lines;
};

// Describes such copies of a matrix whose rows are whole lines and begin at multiples of 16 bytes.
// Beyond a part's last row they bring zeros. In shared memory 16-byte chunk c of the r-th row of
// 128 bytes lies at c ^ (r % 8). None when the driver does not know how.
std::optional<CUtensorMap> MapTiles(const Tensor& matrix, const CopyBox& box);

}  // namespace regatta
