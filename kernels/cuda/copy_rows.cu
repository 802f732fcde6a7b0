// Copies of rows: token embeddings and gathers; and of drawn tokens.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/dependent_launch.cuh"
#include "kernels/cuda/element.cuh"

namespace regatta {
namespace {

// One block per output row, `Word` at a time; strides and widths count words. Row numbers below 0
// stand for drawn tokens; rows outside [first_row, first_row + num_rows) give zeros.
template <typename Word>
__global__ void CopyRowsKernel(const Word* from, int64_t from_stride, int64_t num_rows,
                               const int32_t* rows, const int32_t* drawn, int64_t first_row,
                               Word* to, int64_t to_stride, int64_t width) {
  FollowPrevious();
  const int32_t given = rows[blockIdx.x];
  const int64_t row = (given < 0 ? drawn[-1 - given] : given) - first_row;
  const bool held = row >= 0 && row < num_rows;
  Word* out = to + blockIdx.x * to_stride;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    out[i] = held ? from[row * from_stride + i] : Word{};
  }
}

// One block per row of x; `Word` at a time.
template <typename Word>
__global__ void JoinColumnsKernel(const Word* x, Word* out, int64_t rows, int64_t width) {
  const int64_t part = blockIdx.x / rows, row = blockIdx.x % rows;
  const int64_t parts = gridDim.x / rows;
  const Word* from = x + blockIdx.x * width;
  Word* to = out + (row * parts + part) * width;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) to[i] = from[i];
}

__global__ void PlaceTokensKernel(const int32_t* ids, const int32_t* slots, int n, int32_t* drawn) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) drawn[slots[i]] = ids[i];
}

}  // namespace

void CudaOps::CopyRows(const Tensor& from, const int32_t* rows, const int32_t* drawn,
                       int64_t first_row, const Tensor& out) {
  CHECK_EQ(from.dim(1), out.dim(1));
  CHECK(from.dtype == out.dtype);
  if (out.dim(0) == 0) return;
  const int64_t size = static_cast<int64_t>(SizeOf(from.dtype));
  const auto copy = [&](auto word) {
    using Word = decltype(word);
    const int64_t per_word = static_cast<int64_t>(sizeof(Word)) / size;
    LaunchEarly<&CopyRowsKernel<Word>>({.grid = dim3(out.dim(0)), .block = 128}, stream_,
                                       from.as<Word>(), from.row_stride / per_word, from.dim(0),
                                       rows, drawn, first_row, out.as<Word>(),
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

void CudaOps::Embedding(const int32_t* ids, const int32_t* drawn, const Tensor& table,
                        int64_t first_row, const Tensor& out) {
  CopyRows(table, ids, drawn, first_row, out);
}

void CudaOps::GatherRows(const Tensor& x, const int32_t* rows, const Tensor& out) {
  CopyRows(x, rows, nullptr, 0, out);
}

void CudaOps::JoinColumns(const Tensor& x, const Tensor& out) {
  CHECK(x.dtype == out.dtype && x.dense() && out.dense());
  CHECK_EQ(x.num_elements(), out.num_elements());
  if (x.dim(0) == 0) return;
  const auto join = [&](auto word) {
    using Word = decltype(word);
    JoinColumnsKernel<<<static_cast<unsigned>(x.dim(0)), 512, 0, stream_>>>(
        x.as<Word>(), out.as<Word>(), out.dim(0),
        x.dim(1) * static_cast<int64_t>(SizeOf(x.dtype)) / static_cast<int64_t>(sizeof(Word)));
  };
  if (WideRows(x) && x.dim(1) * SizeOf(x.dtype) % sizeof(uint4) == 0) {
    join(uint4{});
  } else {
    CHECK_EQ(SizeOf(x.dtype) % 2, size_t{0});
    join(uint16_t{});
  }
  Launched("JoinColumns");
}

void CudaOps::PlaceTokens(const int32_t* ids, const int32_t* slots, int n, int32_t* drawn) {
  if (n == 0) return;
  PlaceTokensKernel<<<static_cast<unsigned>(CeilDiv(n, 256)), 256, 0, stream_>>>(ids, slots, n,
                                                                                 drawn);
  Launched("PlaceTokens");
}

}  // namespace regatta
