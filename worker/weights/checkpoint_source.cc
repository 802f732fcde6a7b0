// Weights from safetensors: float32, bfloat16 and float16, converted between one another on the
// way; E4M3 as it is.
#include <algorithm>
#include <cstring>
#include <utility>

#include "common/checkpoint/checkpoint_check.h"
#include "common/checkpoint/safetensors.h"
#include "common/status_macros.h"
#include "kernels/dtype.h"
#include "worker/weights/stored_dtype.h"
#include "worker/weights/tensor_source.h"

namespace regatta {
namespace {

// Converts `count` elements; `from` may be unaligned, as offsets in a file may be.
template <typename From, typename To>
void Convert(const std::byte* from, To* to, int64_t count) {
  constexpr int64_t kChunk = 1024;
  From chunk[kChunk];
  while (count > 0) {
    const int64_t n = std::min(count, kChunk);
    std::memcpy(chunk, from, n * sizeof(From));
    for (int64_t i = 0; i < n; ++i) to[i] = FromFloat<To>(ToFloat(chunk[i]));
    from += n * sizeof(From);
    to += n;
    count -= n;
  }
}

void Convert(const std::byte* from, DType from_dtype, void* to, DType to_dtype, int64_t count) {
  if (from_dtype == to_dtype) {
    std::memcpy(to, from, count * SizeOf(to_dtype));
    return;
  }
  DispatchActivation(from_dtype, [&](auto from_type) {
    DispatchActivation(to_dtype, [&](auto to_type) {
      Convert<decltype(from_type)>(from, static_cast<decltype(to_type)*>(to), count);
    });
  });
}

class CheckpointSource final : public TensorSource {
 public:
  CheckpointSource(Checkpoint checkpoint, const QuantizationSpec& quantization)
      : checkpoint_(std::move(checkpoint)), quantization_(quantization) {}

  absl::Status Check(const std::vector<TensorInfo>& tensors) const override {
    RETURN_IF_ERROR(CheckTensors(checkpoint_, tensors, quantization_));
    for (const TensorInfo& tensor : tensors) {
      if (!IsQuantized(tensor)) continue;
      RETURN_IF_ERROR(ReadScales(checkpoint_, tensor, quantization_).status());
    }
    return absl::OkStatus();
  }

  bool IsQuantized(const TensorInfo& tensor) const override {
    return DTypeOf(*checkpoint_.Find(tensor.name)->type) == DType::kFloat8E4M3;
  }

  StoredScales Scales(const TensorInfo& tensor) const override {
    return *ReadScales(checkpoint_, tensor, quantization_);
  }

  absl::StatusOr<float> CacheScale(int layer, bool keys) const override {
    return ReadCacheScale(checkpoint_, layer, keys);
  }

  void Read(const TensorInfo& tensor, const Slice& slice, const Tensor& out) const override {
    const StoredTensor& stored = *checkpoint_.Find(tensor.name);
    const DType from = *DTypeOf(*stored.type);
    const bool whole_rows = slice.columns == tensor.columns && out.dense();
    const int64_t runs = whole_rows ? 1 : slice.rows;
    const int64_t run_length = whole_rows ? slice.num_elements() : slice.columns;
    for (int64_t run = 0; run < runs; ++run) {
      Convert(At(stored, tensor, slice.first_row + run, slice.first_column), from,
              out.Rows(run, 1).data, out.dtype, run_length);
    }
  }

  Tensor View(const TensorInfo& tensor, const Slice& slice, DType dtype) const override {
    const StoredTensor& stored = *checkpoint_.Find(tensor.name);
    const std::byte* data = At(stored, tensor, slice.first_row, slice.first_column);
    const bool aligned = reinterpret_cast<uintptr_t>(data) % SizeOf(dtype) == 0;
    if (DTypeOf(*stored.type) != dtype || !aligned) return {};
    // The mapping is read-only; whoever takes a view takes it as const.
    Tensor view = Tensor::Of(const_cast<std::byte*>(data), dtype, slice.rows, slice.columns);
    view.row_stride = tensor.columns;
    return view;
  }

  std::vector<FormulaRows> Formulas(const TensorInfo&, const Slice&) const override { return {}; }

 private:
  static const std::byte* At(const StoredTensor& stored, const TensorInfo& tensor, int64_t row,
                             int64_t column) {
    return stored.data + (row * tensor.columns + column) * SizeOf(*DTypeOf(*stored.type));
  }

  const Checkpoint checkpoint_;
  const QuantizationSpec quantization_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TensorSource>> OpenCheckpointSource(const std::string& model_dir,
                                                                   const ModelSpec& spec) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::Open(model_dir));
  RETURN_IF_ERROR(CheckAllUsed(checkpoint, spec));
  return std::make_unique<CheckpointSource>(std::move(checkpoint), spec.quantization);
}

}  // namespace regatta
