// Weights from safetensors: float32, bfloat16 and float16, converted between one another on the
// way; E4M3 as it is.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "kernels/dtype.h"
#include "worker/safetensors.h"
#include "worker/tensor_source.h"

namespace regatta {
namespace {

bool IsReadable(const StoredType& type) {
  return type.dtype == DType::kFloat32 || type.dtype == DType::kBFloat16 ||
         type.dtype == DType::kFloat16;
}

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
    std::vector<std::string> missing;
    for (const TensorInfo& tensor : tensors) {
      const StoredTensor* stored = checkpoint_.Find(tensor.name);
      if (stored == nullptr) {
        missing.push_back(tensor.name);
      } else {
        RETURN_IF_ERROR(CheckStored(tensor, *stored));
      }
    }
    if (missing.empty()) return absl::OkStatus();
    constexpr size_t kNamed = 5;
    const size_t shown = std::min(missing.size(), kNamed);
    return absl::NotFoundError(absl::StrCat(
        "the checkpoint lacks ", missing.size(),
        " tensors of this rank: ", absl::StrJoin(missing.begin(), missing.begin() + shown, ", "),
        shown < missing.size() ? ", ..." : ""));
  }

  bool IsQuantized(const TensorInfo& tensor) const override {
    return checkpoint_.Find(tensor.name)->type->dtype == DType::kFloat8E4M3;
  }

  StoredScales Scales(const TensorInfo& tensor) const override {
    return *ReadScales(checkpoint_, tensor, quantization_);
  }

  absl::StatusOr<float> CacheScale(int layer, bool keys) const override {
    return ReadCacheScale(checkpoint_, layer, keys);
  }

  void Read(const TensorInfo& tensor, const Slice& slice, const Tensor& out) const override {
    const StoredTensor& stored = *checkpoint_.Find(tensor.name);
    const DType from = *stored.type->dtype;
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
    if (stored.type->dtype != dtype || !aligned) return {};
    // The mapping is read-only; whoever takes a view takes it as const.
    Tensor view = Tensor::Of(const_cast<std::byte*>(data), dtype, slice.rows, slice.columns);
    view.row_stride = tensor.columns;
    return view;
  }

  std::vector<FormulaRows> Formulas(const TensorInfo&, const Slice&) const override { return {}; }

 private:
  absl::Status CheckStored(const TensorInfo& tensor, const StoredTensor& stored) const {
    std::vector<int64_t> shape = {tensor.rows};
    if (!tensor.is_vector) shape.push_back(tensor.columns);
    if (stored.shape != shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          *stored.path, ": tensor ", tensor.name, " has shape [", absl::StrJoin(stored.shape, ", "),
          "]; config.json asks for [", absl::StrJoin(shape, ", "), "]"));
    }
    if (IsReadable(*stored.type)) return absl::OkStatus();
    const bool quantizable = quantization_.enabled() && IsQuantizable(tensor.role);
    if (quantizable && stored.type->dtype == DType::kFloat8E4M3) {
      return ReadScales(checkpoint_, tensor, quantization_).status();
    }
    return absl::UnimplementedError(
        absl::StrCat(*stored.path, ": tensor ", tensor.name, " has dtype ", stored.type->name,
                     "; F32, BF16 and F16 are read", quantizable ? ", and F8_E4M3" : ""));
  }

  static const std::byte* At(const StoredTensor& stored, const TensorInfo& tensor, int64_t row,
                             int64_t column) {
    return stored.data + (row * tensor.columns + column) * SizeOf(*stored.type->dtype);
  }

  const Checkpoint checkpoint_;
  const QuantizationSpec quantization_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TensorSource>> OpenCheckpointSource(
    const std::string& model_dir, const QuantizationSpec& quantization) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::Open(model_dir));
  return std::make_unique<CheckpointSource>(std::move(checkpoint), quantization);
}

}  // namespace regatta
