// Whether a checkpoint holds what a model needs, by the headers of its files: no weight is read.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors.h"
#include "common/checkpoint/tensor_table.h"
#include "common/model_spec.h"
#include "common/quantization.h"

namespace regatta {

// A tensor of scales by name, in the checkpoint's memory.
struct ScaleTensor {
  std::string name;
  const StoredTensor* stored = nullptr;
};

// Those beside one matrix in E4M3; `input` is empty where inputs are scaled as they come.
struct ScaleTensors {
  ScaleTensor weight;
  ScaleTensor input;
};

// OK when scales can be read from `stored`: UNIMPLEMENTED names file, tensor and dtype.
absl::Status CheckScaleDType(const StoredTensor& stored, const std::string& name);

// Finds the scales of `tensor`, whose numbers are E4M3, and checks their number and dtype; their
// values are not looked at. NOT_FOUND names a missing one, INVALID_ARGUMENT a number that does not
// fit the matrix, UNIMPLEMENTED a dtype.
absl::StatusOr<ScaleTensors> FindScales(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                        const QuantizationSpec& quantization);

// OK when `checkpoint` has all `tensors` in the shapes asked for, in a dtype that is read, and the
// scales of those in E4M3. NOT_FOUND says how many are missing and names some, INVALID_ARGUMENT
// names file, tensor, shape and the shape asked for, UNIMPLEMENTED the dtype and those that are
// read.
absl::Status CheckTensors(const Checkpoint& checkpoint, const std::vector<TensorInfo>& tensors,
                          const QuantizationSpec& quantization);

// OK when nothing of the backbone is stored that `spec` does not use: layers beyond its number, or
// biases that config.json does not speak of, are a model of another shape, whose answers would be
// wrong. INVALID_ARGUMENT says how many there are and names some. Scales, constants that can be
// computed, and other heads do no harm.
absl::Status CheckAllUsed(const Checkpoint& checkpoint, const ModelSpec& spec);

// Both of every tensor of `spec` in the safetensors of `model_dir`, whatever the layout; errors
// also as of Checkpoint::Open.
absl::Status CheckCheckpoint(const std::string& model_dir, const ModelSpec& spec);

}  // namespace regatta
