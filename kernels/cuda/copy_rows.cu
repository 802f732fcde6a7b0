// Copies of rows: token embeddings and gathers.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

// One block per output row, `Word` at a time; strides and widths count words. Rows outside
// [first_row, first_row + num_rows) give zeros.
template <typename Word>
__global__ void CopyRowsKernel(const Word* from, int64_t from_stride, int64_t num_rows,
                               const int32_t* rows, int64_t first_row, Word* to, int64_t to_stride,
                               int64_t width) {
  const int64_t row = rows[blockIdx.x] - first_row;
  const bool held = row >= 0 && row < num_rows;
  Word* out = to + blockIdx.x * to_stride;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[i] = held ? from[row * from_stride + i] : Word{};
  }
}

}  // namespace

void CudaOps::CopyRows(const Tensor& from, const int32_t* rows, int64_t first_row,
                       const Tensor& out) {
  CHECK_EQ(from.dim(1), out.dim(1));
  CHECK(from.dtype == out.dtype);
  if (out.dim(0) == 0) return;
  const int64_t size = static_cast<int64_t>(SizeOf(from.dtype));
  const auto copy = [&](auto word) {
    using Word = decltype(word);
    const int64_t per_word = static_cast<int64_t>(sizeof(Word)) / size;
    CopyRowsKernel<<<static_cast<unsigned>(out.dim(0)), 128, 0, stream_>>>(
        from.as<Word>(), from.row_stride / per_word, from.dim(0), rows, first_row, out.as<Word>(),
        out.row_stride / per_word, out.dim(1) / per_word);
  };
  if (WideRows(from) && WideRows(out)) {
    copy(uint4{});
  } else if (size == 4) {
    copy(uint32_t{});
  } else {
    CHECK_EQ(size, 2);
    copy(uint16_t{});
  }
  Launched("copy of rows");
}

void CudaOps::Embedding(const int32_t* ids, const Tensor& table, int64_t first_row,
                        const Tensor& out) {
  CopyRows(table, ids, first_row, out);
}

void CudaOps::GatherRows(const Tensor& x, const int32_t* rows, const Tensor& out) {
  CopyRows(x, rows, 0, out);
}

}  // namespace regatta
