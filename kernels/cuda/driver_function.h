// Functions of the driver that the runtime does not wrap: it finds them, so that nothing is linked
// to the driver.
#pragma once

#include <cuda_runtime.h>

namespace regatta {

// Null when the driver is too old.
template <typename Function>
Function DriverFunction(const char* name) {
  constexpr unsigned kVersion = 12000;
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t status =
      cudaGetDriverEntryPointByVersion(name, &function, kVersion, cudaEnableDefault, &found);
  if (status != cudaSuccess) cudaGetLastError();
  return reinterpret_cast<Function>(function);
}

}  // namespace regatta
