// Products of up to 192 tokens, alone or with a gate (WideProduct), when a product takes about as
// long as its weight takes to be read: all tokens at once beside a stream of the weight's rows.
// Needs compute capability 9.0.
#pragma once

#include "kernels/cuda/wide_product.h"

namespace regatta {

inline constexpr int64_t kStreamedTokens = 192;

// How the product is dealt out to the device.
struct StreamedShape {
  int tokens = 0;  // room for them in a block; 0: the kernel does not take the product
  int split = 1;   // blocks that share the depth
  int blocks = 0;  // that run at once
};

StreamedShape ShapeStreamedProduct(const WideProduct& product, int num_multiprocessors);

// Reads weights before the kernel in front has ended (see skinny_product.h). False, and nothing
// launched, when the driver cannot describe the operands.
bool LaunchStreamedProduct(const WideProduct& product, const StreamedShape& shape,
                           cudaStream_t stream);

}  // namespace regatta
