// Kernels that begin before the one in front of them has ended (CUDA programming guide,
// "Programmatic dependent launch"). Before Hopper they run one after another.
//
// The rule that keeps results right: every kernel of such a chain awaits the previous one, at the
// latest before it ends, and until then writes nothing that kernels in front of it may use. Then a
// kernel's end means the end of all before it, however early the next one began.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "common/check.h"
#include "kernels/cuda/shared_memory.cuh"

namespace regatta {

// The next kernel may begin once every block has come here.
__device__ inline void LetNextBegin() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Returns when the kernel in front has ended and all that it wrote can be read.
__device__ inline void AwaitPrevious() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The start of a kernel that does nothing before its inputs are there: only its launch is hidden.
__device__ inline void FollowPrevious() {
  LetNextBegin();
  AwaitPrevious();
}

// Whether the kernel that this thread launched last is one of ours that lets the next begin. A hint
// alone: early launches behind cuBLASLt's are right as well, but many blocks that wait are in the
// way of its own.
inline thread_local bool newest_lets_next_begin = false;
inline constexpr unsigned kFewBlocks = 128;

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
  int cluster = 1;  // blocks along x that run at once and read one another's shared memory
};

// Launches a kernel that lets the next begin, and may itself begin before the one in front of it in
// the stream has ended, which it therefore awaits. An error is cudaGetLastError's.
// `shape.shared_bytes` beyond the usual 48 KiB are allowed before (shared_memory.cuh).
template <auto kKernel, typename... Arguments>
void LaunchEarly(const LaunchShape& shape, cudaStream_t stream, const Arguments&... arguments) {
  const DeviceTraits device = ShareMultiprocessors<kKernel>();
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  config.attrs = attributes;
  const bool few = shape.grid.x * shape.grid.y * shape.grid.z <= kFewBlocks;
  if (device.begins_early && (newest_lets_next_begin || few)) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.cluster > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  }
  (void)cudaLaunchKernelEx(&config, kKernel, arguments...);
  newest_lets_next_begin = true;
}

}  // namespace regatta
