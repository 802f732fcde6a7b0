// The operations of ops.h on one NVIDIA GPU, compute capability 8.0 or newer. Free of CUDA headers,
// so that any file may include it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/ops.h"

namespace regatta {

// Operations on GPU `device` (CUDA's numbering), on a stream of their own. Null when the device
// cannot be opened, with `*error` saying why. Calls must come from one thread at a time.
std::unique_ptr<Ops> MakeCudaOps(int device, std::string* error);

// Of Ops that MakeCudaOps made: the cudaStream_t everything is issued on, and the device's number.
void* CudaStreamOf(Ops& ops);
int CudaDeviceOf(Ops& ops);

// Which products go to our own kernels, of those that they take, and which cuBLASLt adds to a
// residual.
enum class OwnUse { kMeasured, kAlways, kNever };
// Instead of what was measured, for tests and benchmarks; dealt out as on a device of so many
// multiprocessors, 0 for its own number.
void UseOwnProducts(Ops& ops, OwnUse use, int multiprocessors = 0);
// Whether the device runs our kernels for products at all.
bool HasOwnProducts(Ops& ops);
// Products that they took so far, and that cuBLASLt added to a residual.
uint64_t OwnProductsTaken(Ops& ops);
uint64_t AddingProductsTaken(Ops& ops);

}  // namespace regatta
