// Where weights come from: a checkpoint or a formula. Gives rectangles of named tensors in the
// dtype of the rank; knows nothing of ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/tensor_table.h"
#include "kernels/dummy_values.h"
#include "kernels/tensor.h"
#include "worker/weights/stored_scales.h"

namespace regatta {

// Rows of a slice that one formula gives.
struct FormulaRows {
  int64_t first_row = 0;  // of the slice
  int64_t rows = 0;
  DummyValues values;
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;
  // OK when all `tensors`, and the scales of those that are quantised, can be read. NOT_FOUND names
  // what is missing, INVALID_ARGUMENT a shape, UNIMPLEMENTED a dtype, each with the file.
  virtual absl::Status Check(const std::vector<TensorInfo>& tensors) const = 0;
  // Whether the matrix is there as E4M3 numbers, which are then read as such, under Scales.
  virtual bool IsQuantized(const TensorInfo& tensor) const = 0;
  // Those of a quantised matrix, whole.
  virtual StoredScales Scales(const TensorInfo& tensor) const = 0;
  // As ReadCacheScale.
  virtual absl::StatusOr<float> CacheScale(int layer, bool keys) const = 0;
  // Writes `slice` of `tensor` (which Check has accepted) to host matrix `out` of the slice's
  // shape, rounding to its dtype. Thread-safe.
  virtual void Read(const TensorInfo& tensor, const Slice& slice, const Tensor& out) const = 0;
  // A view of `slice` in the source's own memory when it is there in `dtype` and aligned, else an
  // empty tensor. Valid as long as the source.
  virtual Tensor View(const TensorInfo& tensor, const Slice& slice, DType dtype) const = 0;
  // The formulas of all rows of `slice`, for backends to compute where the weights live; empty when
  // elements are stored.
  virtual std::vector<FormulaRows> Formulas(const TensorInfo& tensor, const Slice& slice) const = 0;
};

// Reads the safetensors of `model_dir`, a checkpoint of `spec`; errors as of Checkpoint::Open and
// CheckAllUsed.
absl::StatusOr<std::unique_ptr<TensorSource>> OpenCheckpointSource(const std::string& model_dir,
                                                                   const ModelSpec& spec);

}  // namespace regatta
