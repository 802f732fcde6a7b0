// The scales that a quantised checkpoint keeps beside its matrices, read and checked.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors.h"
#include "common/checkpoint/tensor_table.h"
#include "common/quantization.h"

namespace regatta {

// Everything beside one quantised matrix.
struct StoredScales {
  // In order of rows: one; one per row; or one per block of kScaleBlock rows and columns.
  std::vector<float> weight;
  float input = 0;  // of its input, constant; 0 where inputs are scaled as they come
};

// Those of `tensor`, whose numbers are E4M3. NOT_FOUND names a missing scale, INVALID_ARGUMENT its
// shape or value, UNIMPLEMENTED its dtype.
absl::StatusOr<StoredScales> ReadScales(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                        const QuantizationSpec& quantization);

// The scale of a layer's keys (else values) in a cache of E4M3: 1 where the checkpoint has none.
absl::StatusOr<float> ReadCacheScale(const Checkpoint& checkpoint, int layer, bool keys);

}  // namespace regatta
