// The formula over rows on the host; see dummy_values.h.
#include "kernels/dummy_values.h"

#include "kernels/dtype.h"

namespace regatta {

void FillDummyOnHost(const Tensor& out, const DummyValues& values) {
  const int64_t columns = out.rank == 1 ? 1 : out.dim(1);
  DispatchStorage(out.dtype, [&](auto type) {
    using T = decltype(type);
    for (int64_t row = 0; row < out.dim(0); ++row) {
      T* to = out.as<T>() + row * out.row_stride;
      const uint64_t first = values.first + static_cast<uint64_t>(row) * values.pitch;
      for (int64_t i = 0; i < columns; ++i) to[i] = FromFloat<T>(DummyValueAt(values, first + i));
    }
  });
}

}  // namespace regatta
