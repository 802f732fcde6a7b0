// Memory of an activation in the forms that its users take: plain, and E4M3 with scales.
#pragma once

#include "absl/status/status.h"
#include "kernels/ops.h"
#include "worker/weights/weights.h"

namespace regatta {

// RESOURCE_EXHAUSTED when memory is.
absl::Status AllocateTensor(Ops& ops, DType dtype, int64_t rows, int64_t columns,
                            DeviceTensor& tensor);

struct FormedActivation {
  DeviceTensor plain;    // [T, K], of the largest step
  DeviceTensor numbers;  // the same in E4M3; empty when no weight is quantised
  DeviceTensor scales;   // float32 [ceil(K / kScaleGroup), T]

  // `tokens` is a multiple of kGroupRows. RESOURCE_EXHAUSTED when memory is.
  absl::Status Allocate(Ops& ops, DType dtype, int64_t tokens, int64_t width, bool quantized);

  // `tokens` rows from row `first`, a multiple of kGroupRows, on, as `user` takes its input:
  // [tokens, in_features of user], dense.
  Activation For(const Weight& user, int64_t first, int64_t tokens) const;
};

}  // namespace regatta
