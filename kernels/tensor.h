// Views of typed memory. A Tensor does not own; a Buffer does. Shapes are letters fixed in ops.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "common/check.h"

namespace regatta {

enum class DType : uint8_t { kFloat32, kBFloat16, kFloat16, kFloat8E4M3, kInt32, kInt64, kUint8 };

constexpr size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kBFloat16:
    case DType::kFloat16:
      return 2;
    case DType::kInt64:
      return 8;
    case DType::kFloat8E4M3:
    case DType::kUint8:
      return 1;
  }
  return 0;
}

// "float32", "bfloat16", ... as in config.json.
const char* DTypeName(DType dtype);

// Non-owning view of up to 4 dimensions, dense except that the first dimension may have a stride (a
// column slice of a matrix).
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  int rank = 0;
  int64_t shape[4] = {0, 0, 0, 0};
  int64_t row_stride = 0;  // elements between consecutive indices of dimension 0

  static Tensor Of(void* data, DType dtype, int64_t n) { return {data, dtype, 1, {n}, 1}; }
  static Tensor Of(void* data, DType dtype, int64_t rows, int64_t cols) {
    return {data, dtype, 2, {rows, cols}, cols};
  }
  static Tensor Of(void* data, DType dtype, int64_t a, int64_t b, int64_t c) {
    return {data, dtype, 3, {a, b, c}, b * c};
  }
  static Tensor Of(void* data, DType dtype, int64_t a, int64_t b, int64_t c, int64_t d) {
    return {data, dtype, 4, {a, b, c, d}, b * c * d};
  }

  explicit operator bool() const { return data != nullptr; }
  int64_t dim(int i) const { return shape[i]; }
  int64_t num_elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  size_t num_bytes() const { return static_cast<size_t>(num_elements()) * SizeOf(dtype); }
  bool dense() const {
    int64_t inner = 1;
    for (int i = 1; i < rank; ++i) inner *= shape[i];
    return row_stride == inner;
  }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  // Rows [begin, begin + count) of dimension 0.
  Tensor Rows(int64_t begin, int64_t count) const {
    CHECK_LE(begin + count, shape[0]);
    Tensor view = *this;
    view.data = static_cast<char*>(data) + begin * row_stride * static_cast<int64_t>(SizeOf(dtype));
    view.shape[0] = count;
    return view;
  }
  // Columns [begin, begin + count) of a matrix.
  Tensor Columns(int64_t begin, int64_t count) const {
    CHECK_EQ(rank, 2);
    CHECK_LE(begin + count, shape[1]);
    Tensor view = *this;
    view.data = static_cast<char*>(data) + begin * static_cast<int64_t>(SizeOf(dtype));
    view.shape[1] = count;
    return view;
  }
};

// Owns memory that some Ops allocated; move-only; freed by the function it was made with.
class Buffer {
 public:
  Buffer() = default;
  Buffer(void* data, size_t num_bytes, std::function<void(void*)> release)
      : data_(data), num_bytes_(num_bytes), release_(std::move(release)) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(num_bytes_, other.num_bytes_);
    std::swap(release_, other.release_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr && release_) release_(data_);
  }
  void* data() const { return data_; }
  size_t num_bytes() const { return num_bytes_; }

 private:
  void* data_ = nullptr;
  size_t num_bytes_ = 0;
  std::function<void(void*)> release_;
};

}  // namespace regatta
