// Copies of rows: token embeddings and gathers; and of drawn tokens.
#include <cstring>

#include "kernels/cpu/cpu_ops.h"

namespace regatta {
namespace {

char* RowOf(const Tensor& matrix, int64_t row) {
  return matrix.as<char>() + row * matrix.row_stride * static_cast<int64_t>(SizeOf(matrix.dtype));
}

}  // namespace

void CpuOps::Embedding(const int32_t* ids, const int32_t* drawn, const Tensor& table,
                       int64_t first_row, const Tensor& out) {
  CHECK_EQ(table.dim(1), out.dim(1));
  CHECK(table.dtype == out.dtype);
  const size_t row_bytes = table.dim(1) * SizeOf(table.dtype);
  ForEachRow(out.dim(0), out.dim(1), [&](int64_t t) {
    const int64_t row = (ids[t] < 0 ? drawn[-1 - ids[t]] : ids[t]) - first_row;
    if (row < 0 || row >= table.dim(0)) {
      std::memset(RowOf(out, t), 0, row_bytes);
    } else {
      std::memcpy(RowOf(out, t), RowOf(table, row), row_bytes);
    }
  });
}

void CpuOps::GatherRows(const Tensor& x, const int32_t* rows, const Tensor& out) {
  CHECK_EQ(x.dim(1), out.dim(1));
  CHECK(x.dtype == out.dtype);
  const size_t row_bytes = x.dim(1) * SizeOf(x.dtype);
  ForEachRow(out.dim(0), out.dim(1), [&](int64_t i) {
    CheckIndex("row", rows[i], x.dim(0));
    std::memcpy(RowOf(out, i), RowOf(x, rows[i]), row_bytes);
  });
}

void CpuOps::JoinColumns(const Tensor& x, const Tensor& out) {
  const int64_t rows = out.dim(0), width = x.dim(1);
  CHECK(x.dtype == out.dtype && x.dense() && out.dense());
  CHECK_EQ(x.num_elements(), out.num_elements());
  const size_t row_bytes = width * SizeOf(x.dtype);
  ForEachRow(x.dim(0), width, [&](int64_t from) {
    char* to = RowOf(out, from % rows) + from / rows * row_bytes;
    std::memcpy(to, RowOf(x, from), row_bytes);
  });
}

void CpuOps::PlaceTokens(const int32_t* ids, const int32_t* slots, int n, int32_t* drawn) {
  for (int i = 0; i < n; ++i) drawn[slots[i]] = ids[i];
}

}  // namespace regatta
